// The project board, on the API. The page works without this: here its buttons and its form answer at once, tasks can be
// dragged, and the keyboard moves them. What the server refuses is undone, and told.

import { Cards } from "./cards.js";
import { Refusal, Tasks } from "./tasks.js";

const data = JSON.parse(document.getElementById("board-data").textContent);
const board = document.getElementById("board");
const cards = new Cards(board, document.getElementById("task-template"), data);
const tasks = new Tasks(data.tasks, data.csrf);
const trouble = document.querySelector(".trouble");
const said = document.getElementById("said");
const SHOWN = 100; // tasks in a column, as the page has it
const REFRESH = 30_000; // milliseconds between two looks at what others do, while somebody looks at the page
const busy = new Set(); // ids of tasks that are on their way: one at a time

function words(name, values = {}) {
  return data.words[name].replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all);
}

function say(text) {
  trouble.hidden = true;
  said.textContent = text;
}

function complain(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

function explain(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.status === 0) return words("offline");
  if (error.status === 401) return words("loggedOut");
  if (error.status === 403) return words("forbidden");
  if (error.status === 429) return words("tooMany", { seconds: error.seconds });
  if (error.status >= 500) return words("failed");
  return words("refused", { detail: error.message });
}

async function move(card, state) {
  const before = cards.state(card);
  const { id } = card.dataset;
  if (state === before || busy.has(id)) return;
  busy.add(id);
  cards.place(card, state);
  try {
    const etag = card.dataset.etag ? `"${card.dataset.etag.replaceAll('"', "")}"` : (await tasks.get(id)).etag;
    const task = await tasks.change(id, etag, { state });
    cards.show(task);
    say(words("moved", { title: task.title, state: data.states[state] }));
  } catch (error) {
    await undo(card, before, error);
  } finally {
    busy.delete(id);
  }
}

// Show a task as it is by now, where somebody else was faster; else where it was.
async function undo(card, before, error) {
  cards.place(card, before);
  const title = cards.title(card);
  if (error.status === 404) {
    cards.remove(card);
    complain(words("gone", { title }));
  } else if (error.status === 412) {
    const task = await tasks.get(card.dataset.id).catch(() => null);
    if (task) cards.show(task);
    complain(words("changed", { title, state: data.states[task ? task.state : before] }));
  } else {
    complain(explain(error));
  }
}

async function add(form) {
  const title = form.title.value.trim();
  if (!title || form.dataset.busy) return;
  form.dataset.busy = "yes";
  try {
    const task = await tasks.create({ project_id: data.project, title });
    cards.show(task);
    form.reset();
    say(words("added", { title: task.title }));
  } catch (error) {
    complain(explain(error));
  } finally {
    delete form.dataset.busy;
  }
  form.title.focus();
}

// What others have done since the page was loaded.
async function refresh() {
  if (document.hidden || busy.size) return;
  const lists = await Promise.all(cards.states.map((state) => tasks.list(data.project, state, SHOWN))).catch(() => null);
  if (!lists || busy.size) return;
  const found = new Map(lists.flat().map((task) => [String(task.id), task]));
  const complete = lists.every((list) => list.length < SHOWN);
  for (const card of board.querySelectorAll(".task")) {
    if (complete && !found.has(card.dataset.id)) cards.remove(card);
  }
  for (const task of found.values()) {
    const card = cards.find(task.id);
    if (!card || Date.parse(card.dataset.changed) !== Date.parse(task.updated_at)) cards.show({ ...task, etag: "" });
  }
}

function step(card, state, by) {
  const there = cards.states[cards.states.indexOf(state) + by];
  const title = cards.title(card);
  if (there) move(card, there);
  else say(words(by < 0 ? "first" : "last", { title }));
}

function walk(card, key) {
  const state = cards.state(card);
  const column = cards.all(state);
  const here = column.indexOf(card);
  if (key === "ArrowUp" || key === "ArrowDown") return column[here + (key === "ArrowUp" ? -1 : 1)];
  const by = key === "ArrowLeft" ? -1 : 1;
  for (let at = cards.states.indexOf(state) + by; cards.states[at]; at += by) {
    const others = cards.all(cards.states[at]);
    if (others.length) return others[Math.min(here, others.length - 1)];
  }
  return undefined;
}

board.addEventListener("keydown", (event) => {
  const card = event.target.closest(".task");
  if (!card || !event.key.startsWith("Arrow") || event.ctrlKey || event.altKey || event.metaKey) return;
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (event.shiftKey && sideways) {
    step(card, cards.state(card), event.key === "ArrowLeft" ? -1 : 1);
  } else if (!event.shiftKey) {
    const next = walk(card, event.key);
    if (next) cards.focus(next);
  } else {
    return;
  }
  event.preventDefault();
});

board.addEventListener("submit", (event) => {
  const card = event.target.closest(".task");
  const isAdding = event.target.classList.contains("add");
  if (!card && !isAdding) return;
  event.preventDefault();
  if (isAdding) {
    add(event.target);
  } else {
    cards.focus(card);
    move(card, event.target.state.value);
  }
});

board.addEventListener("dragstart", (event) => {
  const card = event.target.closest?.(".task");
  if (!card) return;
  event.dataTransfer.setData("text/x-task", card.dataset.id);
  event.dataTransfer.effectAllowed = "move";
});

board.addEventListener("dragover", (event) => {
  const column = event.target.closest(".column");
  board.querySelectorAll(".over").forEach((each) => each.classList.toggle("over", each === column));
  if (!column || !event.dataTransfer.types.includes("text/x-task")) return;
  column.classList.add("over");
  event.preventDefault();
});

for (const kind of ["drop", "dragend"]) {
  board.addEventListener(kind, (event) => {
    board.querySelectorAll(".over").forEach((each) => each.classList.remove("over"));
    const column = event.target.closest?.(".column");
    const card = kind === "drop" && column ? cards.find(event.dataTransfer.getData("text/x-task")) : null;
    if (!card) return;
    event.preventDefault();
    move(card, column.dataset.state);
  });
}

cards.remember();
board.querySelectorAll(".task").forEach((card) => cards.equip(card));
document.querySelector(".keys").hidden = false;
document.documentElement.classList.add("board-ready");
setInterval(refresh, REFRESH);
document.addEventListener("visibilitychange", refresh);
