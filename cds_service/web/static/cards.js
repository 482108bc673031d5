// One card as an EHR shows it: what it says, what may be accepted, how it is dismissed, and why it is here.

import { sendFeedback } from "./client.js";
import { askWhyDismissed } from "./dismiss.js";
import { button, clockTime, element, icon, outwardLink } from "./elements.js";
import { reasonsForCard } from "./evaluation.js";
import { markdown } from "./markdown.js";

const WORDS = { critical: "Critical", warning: "Warning", info: "Info" };

/** An article for one card. `serviceUrl` takes its feedback; at `explainUrl`, followed by its uuid, it is explained. */
export function cardArticle(card, serviceUrl, explainUrl) {
  const indicator = card.indicator in WORDS ? card.indicator : "info";
  const heading = element("h3", { id: `summary-${card.uuid}`, tabindex: "-1" }, element("bdi", {}, card.summary));
  const article = element(
    "article",
    { class: `card ${indicator}`, "aria-labelledby": heading.id, "data-card": card.uuid ?? null },
    element("p", { class: "indicator" }, icon(indicator), WORDS[indicator]),
    heading,
    card.detail ? element("div", { class: "detail" }, markdown(card.detail)) : null,
    suggestions(card, serviceUrl),
    links(card),
    reasonsForCard(card),
    explained(card, explainUrl),
  );
  article.append(foot(card, article, serviceUrl));
  return article;
}

function suggestions(card, serviceUrl) {
  if (!card.suggestions?.length) return null;
  const accepted = [];
  const rows = card.suggestions.map((suggestion) => suggestionRow(card, suggestion, accepted, serviceUrl));
  return element(
    "div",
    { class: "suggestions" },
    element("h4", {}, card.selectionBehavior === "at-most-one" ? "Suggestions (choose one)" : "Suggestions"),
    element("ul", {}, rows),
    element("p", { class: "small" }, "Accepting sends feedback. This page writes no order into the record."),
  );
}

function suggestionRow(card, suggestion, accepted, serviceUrl) {
  const result = element("p", { class: "received", role: "status" });
  const accept = button("Accept", { "aria-label": `Accept: ${suggestion.label}`, class: "accept" }, async () => {
    const taken = card.selectionBehavior === "at-most-one" && accepted.length > 0;
    if (accept.getAttribute("aria-disabled") === "true" || taken) return;
    accept.setAttribute("aria-disabled", "true");
    accepted.push(suggestion.uuid);
    // The newest feedback about a card says all that was accepted on it.
    const item = { card: card.uuid, outcome: "accepted", acceptedSuggestions: accepted.map((id) => ({ id })) };
    try {
      await sendFeedback(serviceUrl, item);
      accept.textContent = "Accepted";
      accept.setAttribute("aria-label", `Accepted: ${suggestion.label}`);
      result.classList.remove("failed");
      result.textContent = `Feedback received ${clockTime(Date.now())}`;
    } catch (error) {
      accepted.splice(accepted.indexOf(suggestion.uuid), 1);
      accept.removeAttribute("aria-disabled");
      result.classList.add("failed");
      result.textContent = `Feedback was not received. ${error.message}`;
    }
  });
  const described = (suggestion.actions ?? []).map((action) => action.description).filter((text) => text !== suggestion.label);
  return element(
    "li",
    { class: "suggestion" },
    element(
      "div",
      {},
      element("span", { class: "suggestion-label" }, suggestion.label),
      suggestion.isRecommended ? element("span", { class: "recommended" }, "recommended") : null,
      described.map((text) => element("span", { class: "small block" }, text)),
      result,
    ),
    suggestion.uuid && card.uuid ? accept : null,
  );
}

function links(card) {
  if (!card.links?.length) return null;
  const items = card.links.map((link) =>
    element("li", {}, link.type === "absolute" ? outwardLink(link.label, link.url) : `${link.label} (needs an EHR that launches apps)`),
  );
  return element("ul", { class: "links" }, items);
}

/** The page with every fact of the card, with its rule, and with what would change it. */
function explained(card, explainUrl) {
  if (!card.uuid) return null;
  const link = element("a", { href: `${explainUrl}/${encodeURIComponent(card.uuid)}`, target: "_blank" }, "Explain this card");
  return element("p", { class: "explained" }, link, element("span", { class: "small" }, " every fact, the whole rule, what would change it"));
}

function foot(card, article, serviceUrl) {
  const source = card.source ?? {};
  const topic = source.topic?.display ?? source.topic?.code;
  const dismiss = button("Dismiss…", { class: "quiet", "aria-label": "Dismiss this card" }, async () => {
    const answer = await askWhyDismissed(card, (item) => sendFeedback(serviceUrl, item));
    if (answer) article.replaceWith(dismissedNote(card, answer));
  });
  return element(
    "footer",
    {},
    element(
      "p",
      { class: "source" },
      "Source: ",
      source.url ? outwardLink(source.label, source.url) : (source.label ?? "not named"),
      topic ? ` · ${topic}` : null,
    ),
    card.uuid ? dismiss : null,
  );
}

function dismissedNote(card, reason) {
  const note = element(
    "article",
    { class: "card dismissed", tabindex: "-1", "data-card": card.uuid },
    element("p", {}, element("strong", {}, "Dismissed"), reason ? `: ${reason}. ` : ". ", `Feedback received ${clockTime(Date.now())}`),
    element("p", { class: "small" }, card.summary),
  );
  // The focus was in the card that is now gone: put it where the reader is told what became of it.
  queueMicrotask(() => note.focus());
  return note;
}

