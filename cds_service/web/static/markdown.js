// The part of GitHub Flavored Markdown that card details use (C49): paragraphs, headings, lists, bold, emphasis, code,
// line breaks, escapes and entities. Raw HTML, links and images stay the text they are (T11).

import { dated, element } from "./elements.js";

const ITEM = /^( *)(?:[-*+]|\d{1,9}[.)])\s+(.*)$/;
const ORDERED = /^ *\d/;
const HEADING = /^#{1,6}\s+(.*?)(?:\s+#+)?$/;
const INLINE =
  /\\([!-/:-@[-`{-~])|&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z][a-z0-9]{1,31});|`([^`]+)`|\*\*(?=\S)((?:\\.|[^\\])+?)\*\*|\*(?=[^\s*])((?:\\.|[^\\*])+?)\*|( {2,}|\\)\n|\n/gi;
const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", le: "≤", ge: "≥", middot: "·", ndash: "–", mdash: "—",
  lsqb: "[", rsqb: "]", lpar: "(", rpar: ")", ast: "*", lowbar: "_", grave: "`", num: "#", excl: "!", vert: "|", bsol: "\\",
  lbrack: "[", rbrack: "]", UnderBar: "_", colon: ":", sol: "/", tilde: "~",
};

/** The nodes of a Markdown text. */
export function markdown(text) {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"));
}

function blocks(lines) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) at += 1;
    else if (ITEM.test(lines[at])) at = list(lines, at, nodes);
    else if (HEADING.test(lines[at])) nodes.push(element("p", { class: "detail-heading" }, inline(HEADING.exec(lines[at++])[1])));
    else at = paragraph(lines, at, nodes);
  }
  return nodes;
}

function paragraph(lines, start, nodes) {
  let end = start + 1;
  while (end < lines.length && lines[end].trim() && !ITEM.test(lines[end]) && !HEADING.test(lines[end])) end += 1;
  const text = lines.slice(start, end).map((line) => line.trimStart()).join("\n").trimEnd();
  nodes.push(element("p", {}, inline(text)));
  return end;
}

/** One list with what is indented below its items. */
function list(lines, start, nodes) {
  const indent = ITEM.exec(lines[start])[1].length;
  const node = element(ORDERED.test(lines[start]) ? "ol" : "ul");
  let at = start;
  while (at < lines.length) {
    const found = ITEM.exec(lines[at]);
    if (!found || found[1].length !== indent) break;
    const below = [];
    at += 1;
    while (at < lines.length && lines[at].trim() && lines[at].search(/\S/) > indent) below.push(lines[at++]);
    const deeper = below.findIndex((line) => ITEM.test(line));
    const text = [found[2], ...below.slice(0, deeper < 0 ? below.length : deeper)].map((line) => line.trimStart()).join("\n");
    node.append(element("li", {}, inline(text), deeper < 0 ? [] : blocks(below.slice(deeper))));
    if (!(lines[at] ?? "").trim() && ITEM.test(lines[at + 1] ?? "")) at += 1;
  }
  nodes.push(node);
  return at;
}

function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, escaped, entity, code, bold, emphasis, hard] = found;
    parts.push(text.slice(from, found.index));
    from = found.index + whole.length;
    if (escaped) parts.push(escaped);
    else if (entity) parts.push(decoded(entity) ?? whole);
    else if (code) parts.push(element("code", {}, code));
    else if (bold) parts.push(element("strong", {}, inline(bold)));
    else if (emphasis) parts.push(element("em", {}, inline(emphasis)));
    else parts.push(hard ? element("br") : " ");
  }
  parts.push(text.slice(from));
  return joined(parts).flatMap((part) => (typeof part === "string" ? dated(part) : [part]));
}

/** Neighbouring texts as one, so that an escape does not part a date. */
function joined(parts) {
  const texts = [];
  for (const part of parts) {
    if (typeof part === "string" && typeof texts.at(-1) === "string") texts.push(texts.pop() + part);
    else texts.push(part);
  }
  return texts;
}

function decoded(entity) {
  if (!entity.startsWith("#")) return ENTITIES[entity];
  const hexadecimal = /^#x/i.test(entity);
  const point = Number.parseInt(entity.slice(hexadecimal ? 2 : 1), hexadecimal ? 16 : 10);
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
}
