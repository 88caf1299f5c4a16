// Hands what the reader types to the worker, the newest state only, and shows what comes back.
const form = document.getElementById("tried");
const find = (name) => form.querySelector(`[data-shows="${name}"]`);
const fields = [...form.querySelectorAll("[data-fact]")];
const rules = form.querySelector("[name=rules]");
const frame = find("page");
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const NOT_LOADED = "Python could not be loaded. “nox -s playground” builds a site that has it, and a browser loads it over HTTP only";
let ready = false;
let busy = false;
let again = true;
let patience = 0;

function say(state, text) {
  form.dataset.state = state;
  find("state").textContent = text;
}

function ask() {
  if (form.dataset.state === "broken") return;
  say(ready ? "busy" : "loading", ready ? "" : "Python is being loaded: about 13 MB, from this site alone …");
  if (!ready || busy) {
    again = true;
    return;
  }
  [busy, again] = [true, false];
  patience = setTimeout(() => say("busy", "Working …"), 1000);
  const asked = question();
  history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(asked))}`);
  worker.postMessage(asked);
}

function question() {
  const given = fields.filter((field) => field.value).map((field) => [field.dataset.fact, field.value]);
  return { rules: rules.value, request: Object.fromEntries(given) };
}

function fill(asked) {
  rules.value = asked.rules;
  for (const field of fields) {
    field.value = asked.request[field.dataset.fact] ?? "";
    if (field.value && field.closest("details")) field.closest("details").open = true;
  }
}

// What the address holds behind its "#", which browsers send to nobody; anything else begins with the first example.
function linked() {
  try {
    const asked = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    if (typeof asked.rules === "string" && typeof asked.request === "object" && asked.request) return asked;
  } catch {}
  return examples[0];
}

// Messages are broken where the screen ends; what is quoted from the file is not, for the caret stands below its place.
function line(text) {
  const shown = document.createElement("span");
  shown.textContent = text;
  shown.className = text.startsWith(" ") ? "" : "said";
  return shown;
}

function link(code) {
  const shown = document.createElement("a");
  shown.href = `reference.html#code-${code}`;
  shown.textContent = code;
  return shown;
}

async function show(answer) {
  find("check").replaceChildren(...answer.check.split(/(?<=\n)/).map(line));
  find("codes").replaceChildren(...answer.codes.flatMap((code, number) => [number ? ", " : " ", link(code)]));
  find("codes").parentElement.hidden = !answer.codes.length;
  find("fault").textContent = answer.fault ?? "";
  find("fault").hidden = !answer.fault;
  for (const part of form.querySelectorAll("[data-decided]")) part.hidden = Boolean(answer.fault);
  if (answer.fault) return;
  find("text").textContent = answer.text;
  find("command").textContent = answer.command;
  if (frame.srcdoc === answer.page) return fit();
  const drawn = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.srcdoc = answer.page;
  await drawn;
}

function fit() {
  const root = frame.contentDocument?.documentElement;
  if (!root) return;
  frame.style.height = "0";
  frame.style.height = `${root.scrollHeight + 2}px`;
}

worker.onmessage = async ({ data }) => {
  if (data.broken) return say("broken", `${ready ? "Python has stopped" : NOT_LOADED}: ${data.broken}`);
  if (data.ready) ready = true;
  else {
    await show(data);
    clearTimeout(patience);
    busy = false;
  }
  if (again) ask();
  else say("ready", "");
};
worker.onerror = (event) => say("broken", `${NOT_LOADED}: ${event.message ?? "the worker was not found"}`);

const examples = await (await fetch(new URL("examples.json", import.meta.url))).json();
const choice = form.querySelector("[name=example]");
for (const example of examples) choice.append(new Option(example.title));
choice.addEventListener("change", () => {
  fill(examples[choice.selectedIndex]);
  ask();
});
form.addEventListener("input", (event) => event.target !== choice && ask());
form.addEventListener("submit", (event) => event.preventDefault());
frame.addEventListener("load", fit);
addEventListener("resize", fit);
form.hidden = false;
fill(linked());
ask();
