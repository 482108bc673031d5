// Talks CDS Hooks: fires patient-view and sends feedback. Every failure is an Unanswered with a text to show.

/** The service gave no answer that can be used. `status` is HTTP, null when none came. */
export class Unanswered extends Error {
  constructor(text, status = null) {
    super(text);
    this.status = status;
  }
}

/** POST the patient-view hook. The answer (an object with `cards`) and how long it took, in ms. */
export async function patientView(hookRequestUrl, serviceUrl) {
  const request = await exchanged(hookRequestUrl);
  const body = JSON.stringify({ ...(await json(request)), hookInstance: crypto.randomUUID() });
  const started = performance.now();
  const response = await exchanged(serviceUrl, post(body));
  const answer = await json(response);
  if (!Array.isArray(answer?.cards)) throw new Unanswered("The answer of the service is not a CDS Hooks answer.", response.status);
  return { answer, milliseconds: Math.round(performance.now() - started) };
}

/** POST what became of one card. Resolves when the service has received it. */
export async function sendFeedback(serviceUrl, item) {
  const body = JSON.stringify({ feedback: [{ ...item, outcomeTimestamp: new Date().toISOString() }] });
  await exchanged(`${serviceUrl}/feedback`, post(body));
}

function post(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body };
}

async function exchanged(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", credentials: "omit", ...options });
  } catch {
    throw new Unanswered("The service did not answer.");
  }
  if (!response.ok) throw new Unanswered(await outcomeText(response), response.status);
  return response;
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Unanswered("The answer of the service is not JSON.", response.status);
  }
}

/** The text of an OperationOutcome (C62), or what its status means. */
async function outcomeText(response) {
  const outcome = await response.json().catch(() => null);
  const texts = Array.isArray(outcome?.issue)
    ? outcome.issue.map((issue) => issue?.diagnostics ?? issue?.details?.text).filter(Boolean)
    : [];
  return texts.join(" ") || `The service answered with status ${response.status}.`;
}
