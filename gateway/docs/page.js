// Shows an OpenAPI description: /docs?api=v1. Everything becomes text nodes, never markup, so nothing in a
// description or an answer can be more than text. The key is kept in its input field and nowhere else.
"use strict";

const APIS = {v1: "v1", v2: "v2", admin: "admin"};
const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEP = 7; // levels of a schema that are shown
let api;

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") made.addEventListener(...value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false && child !== ""));
  return made;
}

// Paragraphs, `code` and [text](address) of a description.
function prose(text) {
  return (text || "").split(/\n\n+/).filter(Boolean).map((part) => el("p", {}, inline(part)));
}

function inline(text) {
  return text.split(/(`[^`]+`|\[[^\]]+\]\([^)\s]+\))/).map((piece) => {
    const link = /^\[([^\]]+)\]\(((?:https?:\/\/|\/|#)[^)]*)\)$/.exec(piece);
    if (link) return el("a", {href: link[2]}, link[1]);
    return piece.length > 1 && piece[0] === "`" ? el("code", {}, piece.slice(1, -1)) : piece;
  });
}

function resolve(node) {
  for (let steps = 0; node && node.$ref && steps < 10; steps++) {
    const {$ref, ...beside} = node;
    node = {...$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/").replace(/~0/g, "~")], api), ...beside};
  }
  return node;
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const slug = (method, path) => `${method}${path}`.replace(/[^A-Za-z0-9]+/g, "-");

// --- schemas ---

function typeOf(schema) {
  schema = resolve(schema);
  if (schema === true || !schema) return "any";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  for (const key of ["oneOf", "anyOf"]) if (schema[key]) return schema[key].map(typeOf).join(" or ");
  const type = [schema.type || "any"].flat().join(" or ");
  return schema.items ? `${type} of ${typeOf(schema.items)}` : schema.format ? `${type} (${schema.format})` : type;
}

function bounds(schema) {
  schema = resolve(schema) || {};
  const said = [];
  const range = (low, high, unit) => {
    if (low !== undefined && high !== undefined) said.push(`${low} to ${high}${unit}`);
    else if (low !== undefined) said.push(`at least ${low}${unit}`);
    else if (high !== undefined) said.push(`at most ${high}${unit}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (schema.pattern) said.push(`matches ${schema.pattern}`);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join("; ");
}

function schemaList(schema, depth = 0) {
  schema = resolve(schema);
  if (!schema || depth > DEEP) return null;
  const parts = schema.oneOf || schema.anyOf;
  if (parts) return el("ul", {class: "schema"}, parts.map((one) => {
    const inner = schemaList(one, depth + 1);
    return el("li", {}, el("span", {class: "soft"}, resolve(one).title || typeOf(one)), inner);
  }));
  if (schema.items) return schemaList(schema.items, depth + 1);
  const members = Object.entries(schema.properties || {});
  if (members.length === 0) return null;
  return el("ul", {class: "schema"}, members.map(([name, member]) => {
    const needed = (schema.required || []).includes(name);
    const full = resolve(member);
    return el("li", {}, el("code", {}, name), " ", el("span", {class: "soft"}, typeOf(member), needed ? "" : ", optional",
      bounds(full) ? `; ${bounds(full)}` : ""), full.description ? [" ", ...inline(full.description)] : "",
      schemaList(member, depth + 1));
  }));
}

// --- operations ---

function examplesOf(media) {
  if (!media) return [];
  if (media.examples) return Object.entries(media.examples).map(([name, one]) => [resolve(one).summary || name, resolve(one).value]);
  const example = media.example !== undefined ? media.example : (resolve(media.schema) || {}).example;
  return example === undefined ? [] : [["Example", example]];
}

function content(media) {
  return Object.entries(media || {}).map(([type, one]) => [el("p", {}, el("code", {}, type)), schemaList(one.schema),
    examplesOf(one).map(([name, value]) => [el("p", {class: "soft"}, name), el("pre", {}, pretty(value))])]);
}

function parameterTable(parameters) {
  if (parameters.length === 0) return null;
  return [el("h3", {}, "Parameters"), el("table", {}, parameters.map((p) => el("tr", {},
    el("td", {}, el("code", {}, p.name)), el("td", {class: "soft"}, p.in, p.required ? ", needed" : ""),
    el("td", {}, typeOf(p.schema), el("div", {class: "soft"}, bounds(p.schema))), el("td", {}, inline(p.description || "")))))];
}

function answers(operation) {
  return [el("h3", {}, "Answers"), Object.entries(operation.responses).map(([status, given]) => {
    const response = resolve(given);
    const headers = Object.entries(response.headers || {});
    return el("details", {class: "answer", open: status[0] === "2"},
      el("summary", {}, el("span", {class: `status s${status[0]}`}, status), el("span", {}, inline(response.description))),
      el("div", {}, content(response.content),
        headers.length > 0 && el("table", {}, headers.map(([name, header]) => el("tr", {}, el("td", {}, el("code", {}, name)),
          el("td", {}, inline(resolve(header).description || "")))))));
  })];
}

function firstExample(operation) {
  const media = Object.entries((resolve(operation.requestBody) || {}).content || {})[0];
  if (!media) return null;
  const example = examplesOf(media[1])[0];
  return {type: media[0], text: example === undefined ? "" : pretty(example[1])};
}

function curl(method, path, operation) {
  const body = firstExample(operation);
  const quote = (text) => `'${text.replace(/'/g, "'\\''")}'`;
  const lines = [`curl -H "X-API-Key: $KEY"${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${quote(location.origin + path)}`];
  if (body) lines.push(`-H ${quote(`Content-Type: ${body.type}`)}`, `--data-binary ${quote(body.text)}`);
  return lines.join(" \\\n  ");
}

// The clipboard is there for https and localhost only; without it the text can still be marked.
function shell(text) {
  const button = el("button", {type: "button", on: ["click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }]}, "Copy");
  return el("div", {class: "shell"}, el("pre", {tabindex: "0"}, text), globalThis.navigator?.clipboard && button);
}

// --- trying ---

function tryIt(method, path, operation, parameters) {
  const inputs = parameters.filter((p) => p.in !== "header" || !/^(if-none-match|content-encoding)$/i.test(p.name)).map((p) => {
    const example = p.example !== undefined && p.required ? p.example : "";
    return [p, el("input", {value: example, "aria-label": p.name, spellcheck: "false"})];
  });
  const example = firstExample(operation);
  const body = example && el("textarea", {"aria-label": "body", spellcheck: "false"}, example.text);
  const out = el("pre", {"aria-live": "polite"});
  const send = async () => {
    const query = new URLSearchParams();
    const headers = {};
    let target = path;
    for (const [p, input] of inputs) {
      if (p.in === "path") target = target.replace(`{${p.name}}`, encodeURIComponent(input.value));
      else if (input.value !== "" && p.in === "query") query.append(p.name, input.value);
      else if (input.value !== "") headers[p.name] = input.value;
    }
    const key = document.getElementById("key").value;
    if (key) headers["X-API-Key"] = key;
    if (example) headers["Content-Type"] = example.type;
    const text = query.toString();
    out.textContent = "…";
    try {
      const answer = await fetch(target + (text ? `?${text}` : ""), {method: method.toUpperCase(), headers,
        body: body ? body.value : undefined, cache: "no-store", credentials: "omit"});
      const raw = await answer.text();
      let shown = raw;
      try { shown = pretty(JSON.parse(raw)); } catch { /* no JSON: as it came */ }
      out.textContent = `${answer.status} ${answer.statusText}\n${[...answer.headers].map((h) => h.join(": ")).join("\n")}\n\n${shown}`;
    } catch (error) {
      out.textContent = String(error);
    }
  };
  return el("details", {class: "try"}, el("summary", {}, "Try it"),
    el("table", {}, inputs.map(([p, input]) => el("tr", {}, el("td", {}, el("code", {}, p.name)), el("td", {}, input)))),
    body, el("p", {}, el("button", {type: "button", on: ["click", send]}, "Send")), out);
}

function operationCard(method, path, item, operation) {
  const parameters = [...(item.parameters || []), ...(operation.parameters || [])].map(resolve);
  const body = resolve(operation.requestBody);
  const card = el("details", {class: "operation", id: slug(method, path)},
    el("summary", {}, el("span", {class: `method ${method}`}, method.toUpperCase()), el("span", {class: "path"}, path),
      el("span", {class: "summary"}, operation.summary || "")));
  const fill = () => {
    if (!card.open || card.querySelector(".body")) return;
    card.append(el("div", {class: "body"}, prose(operation.description), parameterTable(parameters),
      body && [el("h3", {}, "Body"), prose(body.description), content(body.content)], answers(operation),
      el("h3", {}, "From a shell"), shell(curl(method, path, operation)), tryIt(method, path, operation, parameters)));
  };
  card.addEventListener("toggle", fill);
  return card;
}

// --- the page ---

function operations() {
  const tags = new Map((api.tags || []).map((tag) => [tag.name, {tag, list: []}]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      if (!item[method]) continue;
      const name = (item[method].tags || ["other"])[0];
      if (!tags.has(name)) tags.set(name, {tag: {name}, list: []});
      tags.get(name).list.push({method, path, item, operation: item[method]});
    }
  }
  return [...tags.values()];
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  for (const link of document.getElementById("contents").children) {
    if (link.getAttribute("href") === location.hash) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
  if (!target || target.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({preventScroll: true});
}

// Leaves the operations whose path, method or summary has the text, and the headings that still have any.
function filter(text) {
  const wanted = text.trim().toLowerCase();
  let heading;
  for (const entry of document.getElementById("contents").children) {
    if (entry.tagName === "H2") {
      heading = entry;
      heading.hidden = true;
    } else {
      entry.hidden = !`${entry.textContent} ${entry.title}`.toLowerCase().includes(wanted);
      heading.hidden &&= entry.hidden;
    }
  }
}

function render(chosen) {
  document.title = api.info.title;
  const groups = operations();
  document.getElementById("contents").replaceChildren(...groups.flatMap(({tag, list}) => [el("h2", {}, tag.name),
    ...list.map(({method, path, operation}) => el("a", {href: `#${slug(method, path)}`, title: operation.summary},
      el("span", {class: `method ${method}`}, method.toUpperCase()), " ", path))]));
  document.getElementById("main").replaceChildren(el("h2", {}, api.info.title), ...prose(api.info.description),
    el("p", {}, el("a", {href: `/openapi/${APIS[chosen]}.json`}, `/openapi/${APIS[chosen]}.json`)),
    ...groups.flatMap(({tag, list}) => [el("h2", {}, tag.name), ...prose(tag.description),
      ...list.map(({method, path, item, operation}) => operationCard(method, path, item, operation))]));
  openTarget();
}

async function start() {
  const wanted = new URLSearchParams(location.search).get("api");
  const chosen = Object.hasOwn(APIS, wanted) ? wanted : "v1";
  document.getElementById("apis").replaceChildren(...Object.keys(APIS).map((name) =>
    el("a", {href: `/docs?api=${name}`, "aria-current": name === chosen && "page"}, name)));
  window.addEventListener("hashchange", openTarget);
  const field = document.getElementById("filter");
  field.addEventListener("input", () => filter(field.value));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    field.focus();
  });
  const main = document.getElementById("main");
  try {
    const answer = await fetch(`/openapi/${APIS[chosen]}.json`);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    api = await answer.json();
    render(chosen);
  } catch (error) {
    main.replaceChildren(el("p", {}, `The description could not be read: ${error.message}`));
  }
}

start();
