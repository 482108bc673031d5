// Builds DOM nodes from text: the only way in which this page turns an answer into HTML, so no text becomes markup.

const DECEIVING = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const SVG = "http://www.w3.org/2000/svg";

/** A text without bidirectional, zero-width and control characters; each becomes U+FFFD. */
export function plain(text) {
  return String(text).replace(DECEIVING, "\ufffd");
}

/** An element with attributes (null leaves one out) and children: nodes, or texts that stay texts. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined).map(asNode));
  return node;
}

/** A button that is named by `label` and does `action`. */
export function button(label, attributes, action) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", action);
  return node;
}

/** One of the icons that the page carries; the word beside it says the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A closed disclosure. */
export function disclosure(title, ...content) {
  return element("details", {}, element("summary", {}, title), ...content);
}

/** A link to a page of another host, or its text alone when it is not plain http or https. */
export function outwardLink(label, url) {
  if (!/^https?:\/\//i.test(url)) return element("span", {}, label);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label);
}

/** A text with its dates kept on one line. */
export function dated(text) {
  return text.split(/(\d{4}-\d\d(?:-\d\d)?)/).map((part, index) => (index % 2 ? element("span", { class: "day" }, part) : part));
}

/** "1 card", "2 cards". */
export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** The clock time of a moment, to the second. */
export function clockTime(moment) {
  return new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(plain(child));
}
