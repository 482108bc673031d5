// Opens a chart as an EHR does: fires patient-view, then shows exactly one state. Nothing to advise, could not
// check and a failure never look alike (T23).

import { cardArticle } from "./cards.js";
import { patientView, Unanswered } from "./client.js";
import { counted, dated, element, icon } from "./elements.js";
import { evaluationOf, evaluationParts, isGapCard, silenced, snoozed, undecided, unseenSources } from "./evaluation.js";

const main = document.getElementById("main");
const state = document.getElementById("advice-state");
const cards = document.getElementById("cards");
const evaluation = document.getElementById("evaluation");
let checking = false;

async function check() {
  if (checking) return;
  checking = true;
  show("loading", null, "Loading", "Checking the chart…");
  cards.replaceChildren();
  evaluation.replaceChildren();
  try {
    const { answer, milliseconds } = await patientView(main.dataset.hookRequest, main.dataset.service);
    showAnswer(answer, milliseconds);
  } catch (error) {
    if (!(error instanceof Unanswered)) reportError(error);
    showFailure(error instanceof Unanswered ? error : new Unanswered("The answer of the service could not be shown."));
  } finally {
    checking = false;
  }
}

function showAnswer(answer, milliseconds) {
  const evaluated = evaluationOf(answer);
  const articles = answer.cards.map((card) => cardArticle(card, main.dataset.service, main.dataset.explain));
  const parts = evaluationParts(evaluated);
  cards.replaceChildren(...articles);
  evaluation.replaceChildren(...parts);
  const gaps = gapText(evaluated);
  if (answer.cards.length) showCards(answer.cards, gaps, milliseconds);
  else if (snoozed(evaluated).count) showSnoozed(snoozed(evaluated), gaps);
  else if (gaps) show("unchecked", "unchecked", "Could not check everything", `No card applies to what could be read. ${gaps}`);
  else if (silenced(evaluated).length) showSilenced(silenced(evaluated));
  else show("nothing", "none", "Nothing to advise", "The chart was checked and no rule applies. That does not prove that there is no risk.");
}

function showCards(shown, gaps, milliseconds) {
  const words = ["critical", "warning", "info"]
    .map((indicator) => [shown.filter((card) => card.indicator === indicator).length, indicator])
    .filter(([count]) => count)
    .map(([count, indicator]) => `${count} ${indicator}`);
  const found = `${counted(shown.length, "card")}: ${words.join(", ")}. Answered in ${milliseconds} ms.`;
  if (gaps || shown.some(isGapCard)) show("unchecked", "unchecked", "Could not check everything", `${gaps} ${found}`);
  else show("cards", null, "", found);
}

/** Rules that hold and stay silent for a reason: no card, and no all-clear either. */
function showSilenced(rules) {
  const told = rules.map((rule) => `${rule.id} (${rule.reason})`).join(", ");
  show("silenced", "info", "No advice shown now.", `${counted(rules.length, "rule")} kept silent with a reason: ${told}.`);
}

function showSnoozed({ count, until }, gaps) {
  const when = until ? ` until ${until}` : "";
  const text = `${counted(count, "rule")} ${count === 1 ? "is" : "are"} snoozed${when}. ${gaps}`;
  show("snoozed", gaps ? "unchecked" : "snoozed", "No advice shown now.", text);
}

/** What could not be decided or seen, as one sentence each; "" when everything was. */
function gapText(evaluated) {
  const rules = undecided(evaluated);
  const sources = unseenSources(evaluated);
  const undecidedText = rules.length ? `Could not check ${counted(rules.length, "rule")}: ${rules.map((rule) => rule.id).join(", ")}.` : "";
  const unseenText = sources.length ? `Not fully read: ${sources.map((source) => source.name).join(", ")}.` : "";
  return `${undecidedText} ${unseenText}`.trim();
}

function showFailure({ message, status }) {
  if (status === 412) show("unchecked", "unchecked", "Could not check", `${message} Nothing can be concluded about this patient.`);
  else show("failed", "critical", "Could not check", status ? `${message} (status ${status})` : message);
}

function show(name, sign, title, text) {
  const first = name === "loading" ? element("span", { class: "spinner" }) : sign ? icon(sign) : null;
  const parts = [first, element("p", {}, title ? element("strong", {}, title) : null, " ", dated(text.trim()))];
  state.dataset.state = name;
  state.replaceChildren(...parts.filter(Boolean));
}

/** Bring the open patient into view in the list, without moving the page. */
function showWhereWeAre() {
  const current = document.querySelector(".patients [aria-current]");
  const list = document.getElementById("patients");
  list.scrollTop = current.offsetTop - list.clientHeight / 2;
}

showWhereWeAre();
document.getElementById("check-again").addEventListener("click", check);
check();
