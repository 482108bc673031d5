// What the answer tells a machine (P-23), told to a person: why a card is here, every rule's answer, every source.

import { counted, dated, disclosure, element } from "./elements.js";

const ASSESSMENT = "org.atrophy-cds.assessment";
const EVALUATION = "org.atrophy-cds.evaluation";
const STATUS_WORDS = { fired: "fired", "not-met": "not met", unknown: "unknown", suppressed: "suppressed" };
const SYSTEM_NAMES = {
  "http://snomed.info/sct": "SNOMED CT",
  "http://loinc.org": "LOINC",
  "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
  "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
};
const DAY = /\d{4}-\d\d-\d\d/;

/** The evaluation of a whole answer; empty where the service does not send one. */
export function evaluationOf(answer) {
  return answer.extension?.[EVALUATION] ?? {};
}

/** The rules that stay silent because somebody answered their card, and the day on which the first may come back. */
export function snoozed(evaluation) {
  const rules = (evaluation.rules ?? []).filter((rule) => rule.status === "suppressed" && /^snoozed/i.test(rule.reason ?? ""));
  const days = rules.map((rule) => DAY.exec(rule.reason)?.[0]).filter(Boolean).sort();
  return { count: rules.length, until: days[0] ?? null };
}

/** The rules whose pattern holds and that stay silent for another reason, which they tell. */
export function silenced(evaluation) {
  return (evaluation.rules ?? []).filter((rule) => rule.status === "suppressed" && !/^snoozed/i.test(rule.reason ?? ""));
}

/** The rules that could not be decided, each with its reason. */
export function undecided(evaluation) {
  return (evaluation.rules ?? []).filter((rule) => rule.status === "unknown");
}

/** Whether a card only names what could not be read (P-04). */
export function isGapCard(card) {
  return card.source?.topic?.code === "recordgaps";
}

/** The sources of which something was not seen. */
export function unseenSources(evaluation) {
  return (evaluation.sources ?? []).filter((source) => source.state === "incomplete" || source.state === "failed");
}

/** "Why is this card here?": the facts it rests on, and what was looked for and not found. */
export function reasonsForCard(card) {
  const assessment = card.extension?.[ASSESSMENT];
  if (!assessment) return null;
  const { rules = [], basis = [], missing = [], tier } = assessment;
  const why = disclosure(
    "Why is this card here?",
    basis.length ? [element("h4", {}, "Facts it rests on"), element("ul", { class: "facts" }, basis.map((entry) => fact(entry, rules.length > 1)))] : null,
    missing.length ? [element("h4", {}, "Not found in the record"), element("ul", {}, missing.map((what) => element("li", {}, what)))] : null,
    element(
      "p",
      { class: "small" },
      rules.length ? `${rules.length > 1 ? "Rules" : "Rule"}: ${rules.map((rule) => `${rule.id} ${rule.version}`).join(", ")}. ` : null,
      tierText(tier),
    ),
  );
  why.classList.add("why");
  return why;
}

/** The sentence that explains the tier, or its number alone. */
function tierText(tier) {
  return tier && tier.length < 3 ? `Tier ${tier}.` : (tier ?? null);
}

function fact(entry, isOneOfManyRules) {
  const details = [entry.value, entry.threshold, entry.date && minute(entry.date), entry.code && codeText(entry.code)];
  const rule = isOneOfManyRules ? element("span", { class: "small" }, ` ${entry.rule}`) : null;
  return element("li", {}, factLink(entry), " ", dated(details.filter(Boolean).join(" · ")), rule);
}

/** A FHIR date or dateTime without seconds and offset. */
function minute(moment) {
  return moment.replace("T", " ").replace(/:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/, "");
}

/** `system|code` with the name of the system. */
function codeText(code) {
  const [system, plainCode] = code.split("|");
  return plainCode ? `${SYSTEM_NAMES[system] ?? system} ${plainCode}` : code;
}

/** The name of the fact's row in the chart, as a link to it; its reference where the chart has no such row. */
function factLink(entry) {
  const reference = entry.reference ?? "";
  const row = reference ? document.getElementById(reference.split("/").slice(-2).join("-")) : null;
  if (!row) return element("span", { class: "reference" }, reference || "the patient");
  return element("a", { href: `#${row.id}` }, element("bdi", {}, row.querySelector("th bdi").textContent));
}

/** Everything below the cards: risk factors without a card, then every rule and every source behind disclosures. */
export function evaluationParts(evaluation) {
  return [riskFactors(evaluation), rulesTable(evaluation), sourcesTable(evaluation), origin(evaluation)].filter(Boolean);
}

function riskFactors(evaluation) {
  const domains = evaluation.riskDomains ?? [];
  if (!domains.length && !evaluation.tier) return null;
  return element(
    "section",
    { class: "risk", "aria-label": "Risk factors recorded" },
    element("h3", {}, "Risk factors recorded"),
    domains.length ? element("ul", { class: "domains" }, domains.map((name) => element("li", {}, name))) : element("p", {}, "None."),
    element("p", { class: "small" }, tierText(evaluation.tier)),
  );
}

function rulesTable({ rules = [] }) {
  if (!rules.length) return null;
  const rows = rules.map((rule) => [
    [rule.id, element("span", { class: "small" }, ` ${rule.version}`)],
    element("span", { class: `status ${rule.status}` }, STATUS_WORDS[rule.status] ?? rule.status),
    rule.reason ?? "",
  ]);
  return disclosure(`What every rule answered (${rules.length})`, table(["Rule", "Status", "Reason"], rows));
}

function sourcesTable({ sources = [] }) {
  if (!sources.length) return null;
  const rows = sources.map((source) => [source.name, source.origin, [element("span", { class: `status ${source.state}` }, source.state), notes(source)]]);
  return disclosure(`What was read (${counted(sources.length, "source")})`, table(["Source", "Origin", "State"], rows));
}

function notes(source) {
  const aside = (source.setAside ?? []).map((one) => `${one.reference}: ${one.reason}`);
  return [source.cause, ...aside].filter(Boolean).map((text) => element("span", { class: "small block" }, text));
}

function origin(evaluation) {
  if (!evaluation.asOf) return null;
  const pack = evaluation.rulePack ? ` · rules ${evaluation.rulePack.slice(0, 12)}` : "";
  return element("p", { class: "small" }, `Evaluated as of ${evaluation.asOf}${pack}`);
}

function table(titles, rows) {
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows.map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), rest.map((cell) => element("td", {}, cell))))),
  );
}
