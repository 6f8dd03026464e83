// Runs the documentation page without a browser: node page.js PAGE.JS DESCRIPTION. What it needs of a document
// is written here; each operation is opened, and all that is shown comes out as one JSON object.
"use strict";

const fs = require("fs");
const vm = require("vm");
const [script, description] = process.argv.slice(2);

class Node {
  constructor(name) {
    this.tagName = name.toUpperCase();
    this.children = [];
    this.attributes = {};
    this.listeners = {};
    this.open = false;
  }
  getAttribute(key) { return this.attributes[key] ?? null; }
  removeAttribute(key) { delete this.attributes[key]; }
  setAttribute(key, value) { this.attributes[key] = String(value); }
  append(...nodes) { this.children.push(...nodes.map((node) => (node instanceof Node ? node : String(node)))); }
  replaceChildren(...nodes) { this.children = []; this.append(...nodes); }
  addEventListener(kind, call) { this.listeners[kind] = call; }
  scrollIntoView() {}
  *all() { yield this; for (const child of this.children) if (child instanceof Node) yield* child.all(); }
  querySelector(selector) { return [...this.all()].find((node) => `.${node.attributes.class}` === selector) || null; }
  get text() { return this.children.map((child) => (child instanceof Node ? child.text : child)).join(" "); }
}

const parts = {};
for (const id of ["apis", "contents", "main", "key", "filter"]) parts[id] = new Node("div");
const context = vm.createContext({
  document: {title: "", addEventListener() {}, createElement: (name) => new Node(name),
    getElementById: (id) => parts[id] || [...parts.main.all()].find((node) => node.attributes.id === id) || null},
  window: {addEventListener() {}},
  location: {search: "", hash: "", origin: "http://localhost:8080"},
  fetch: async () => ({ok: true, json: async () => JSON.parse(fs.readFileSync(description, "utf8"))}),
  URLSearchParams, console,
});
vm.runInContext(fs.readFileSync(script, "utf8"), context);

setTimeout(() => {
  const cards = [...parts.main.all()].filter((node) => node.attributes.class === "operation");
  for (const card of cards) {
    card.open = true;
    card.listeners.toggle();
  }
  process.stdout.write(JSON.stringify({title: context.document.title, apis: parts.apis.children.length,
    links: [...parts.contents.all()].filter((node) => node.tagName === "A").map((node) => node.attributes.href),
    cards: cards.map((card) => ({id: card.attributes.id, text: card.text})), text: parts.main.text}));
}, 0);
