// Opens a chart as an EHR does: fires patient-view, then shows exactly one of four states. Nothing to advise, could not
// check and a failure never look alike (T23).

import { cardArticle } from "./cards.js";
import { patientView, Unanswered } from "./client.js";
import { counted, element, icon } from "./elements.js";
import { evaluationOf, evaluationParts, snoozed, undecided, unseenSources } from "./evaluation.js";

const main = document.getElementById("main");
const state = document.getElementById("advice-state");
const cards = document.getElementById("cards");
const evaluation = document.getElementById("evaluation");

async function check() {
  show("loading", null, "Loading", "Checking the chart…");
  cards.replaceChildren();
  evaluation.replaceChildren();
  try {
    const { answer, milliseconds } = await patientView(main.dataset.hookRequest, main.dataset.service);
    showAnswer(answer, milliseconds);
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    showFailure(error);
  }
}

function showAnswer(answer, milliseconds) {
  const evaluated = evaluationOf(answer);
  cards.replaceChildren(...answer.cards.map((card) => cardArticle(card, main.dataset.service)));
  evaluation.replaceChildren(...evaluationParts(evaluated));
  const gaps = gapText(evaluated);
  if (answer.cards.length) showCards(answer.cards, gaps, milliseconds);
  else if (snoozed(evaluated).count) showSnoozed(snoozed(evaluated), gaps);
  else if (undecided(evaluated).length) show("unchecked", "unchecked", "Could not check", gaps);
  else show("nothing", "none", "Nothing to advise", `The chart was checked and no card applies. ${gaps}`);
}

function showCards(shown, gaps, milliseconds) {
  const words = ["critical", "warning", "info"]
    .map((indicator) => [shown.filter((card) => card.indicator === indicator).length, indicator])
    .filter(([count]) => count)
    .map(([count, indicator]) => `${count} ${indicator}`);
  const text = `${words.join(", ")}. Answered in ${milliseconds} ms. ${gaps}`;
  show("cards", gaps ? "unchecked" : null, counted(shown.length, "card"), text);
}

function showSnoozed({ count, until }, gaps) {
  const when = until ? ` until ${until}` : "";
  const text = `${counted(count, "rule")} ${count === 1 ? "is" : "are"} snoozed${when}. ${gaps}`;
  show("snoozed", "snoozed", "No advice shown now.", text);
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
  state.dataset.state = name;
  state.replaceChildren(
    sign ? icon(sign) : element("span", { class: "spinner", hidden: name === "loading" ? null : "" }),
    element("p", {}, element("strong", {}, title), " ", text.trim()),
  );
}

document.getElementById("check-again").addEventListener("click", check);
check();
