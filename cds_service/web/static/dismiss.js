// The dialog in which a card is dismissed. Escape keeps the card; the browser gives the focus back (HTML dialog).

import { element } from "./elements.js";

const dialog = document.getElementById("dismiss");
const form = dialog.querySelector("form");
const reasons = document.getElementById("dismiss-reasons");
const problem = document.getElementById("dismiss-problem");

/**
 * Ask for a reason and send it with `send(feedbackItem)`. Resolves to the reason's words ("" for none) once the
 * feedback is received, or to null when the card is kept. The dialog stays open while sending fails.
 */
export function askWhyDismissed(card, send) {
  document.getElementById("dismiss-summary").textContent = card.summary;
  problem.textContent = "";
  form.reset();
  const choices = card.overrideReasons ?? [];
  reasons.hidden = choices.length === 0;
  reasons.replaceChildren(reasons.querySelector("legend"), ...choices.map(choice));
  dialog.showModal();
  return new Promise((resolve) => {
    let reason = null;
    form.onsubmit = async (event) => {
      event.preventDefault();
      const chosen = choices[Number(new FormData(form).get("reason") ?? -1)];
      try {
        await send(feedbackItem(card, chosen, form.elements.comment.value.trim()));
      } catch (error) {
        problem.textContent = `Feedback was not received. ${error.message}`;
        return;
      }
      reason = chosen?.display ?? "";
      dialog.close();
    };
    document.getElementById("dismiss-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(reason);
  });
}

function choice(reason, index) {
  const id = `dismiss-reason-${index}`;
  return element(
    "div",
    { class: "choice" },
    element("input", { type: "radio", name: "reason", id, value: index }),
    element("label", { for: id }, reason.display ?? reason.code),
  );
}

/** One item of the feedback body (C65, C66): without a reason and a comment there is no overrideReason. */
function feedbackItem(card, reason, comment) {
  const overrideReason = {};
  if (reason) overrideReason.reason = reason;
  if (comment) overrideReason.userComment = comment;
  const said = Object.keys(overrideReason).length > 0;
  return { card: card.uuid, outcome: "overridden", ...(said ? { overrideReason } : {}) };
}
