// The project board, on the API. The page works without this: here its buttons and its form answer at once, tasks can be
// dragged, and the keyboard moves them. What the server refuses is undone, and told.

import { Cards } from "./cards.js";
import { Refusal, Tasks } from "./tasks.js";
import { Voice } from "./voice.js";

const data = JSON.parse(document.getElementById("board-data").textContent);
const board = document.getElementById("board");
const cards = new Cards(board, document.getElementById("task-template"), data);
const tasks = new Tasks(data.tasks, data.csrf);
const voice = new Voice(data.words, document.querySelector(".trouble"), document.getElementById("said"));
const REFRESH = 30_000; // milliseconds between two looks at what others do, while somebody looks at the page
let done = 0; // how much this page has done: lists from before that are out of date
const wanted = new Map(); // by ids of tasks that are on their way: where they are to go after that, if anywhere
let dragging = false;

// A task goes where it is wanted at once, and the server is told; one step of a task at a time.
async function move(card, state) {
  const { id } = card.dataset;
  const before = cards.state(card);
  if (wanted.has(id)) {
    wanted.set(id, state);
    return;
  }
  if (state === before) return;
  const next = card.nextElementSibling;
  wanted.set(id, null);
  card.setAttribute("aria-busy", "true");
  cards.place(card, state);
  try {
    arrived(await send(card, state));
  } catch (error) {
    wanted.set(id, null); // where it was to go after that, was meant from there
    await undo(card, state, before, next, error);
  } finally {
    done += 1;
    card.removeAttribute("aria-busy");
    const then = wanted.get(id);
    wanted.delete(id);
    if (then && card.isConnected) move(card, then);
  }
}

function arrived(task) {
  cards.show(task);
  voice.say("moved", { title: task.title, state: data.states[task.state] });
}

async function send(card, state) {
  const { id, changed } = card.dataset;
  let { etag } = card.dataset;
  if (!etag) { // known from a list, which has no tags
    const task = await tasks.get(id);
    if (task.updated_at !== changed) throw new Refusal(412);
    etag = task.etag;
  }
  return tasks.change(id, etag, { state });
}

// Show a task as it is by now, where somebody else was faster; else where it was.
async function undo(card, state, before, next, error) {
  const title = cards.title(card);
  cards.place(card, before, next);
  if (error.status === 404) {
    cards.remove(card);
    voice.complain("gone", { title });
  } else if (error.status === 412) {
    await reload(card, state, title);
  } else {
    voice.explain(error);
  }
}

async function reload(card, state, title) {
  try {
    const task = await tasks.get(card.dataset.id);
    if (task.state === state) { // somebody else has done the same; or we have, and did not hear the answer
      arrived(task);
    } else {
      cards.show(task);
      voice.complain("changed", { title: task.title, state: data.states[task.state] });
    }
  } catch (error) {
    if (error.status === 404) {
      cards.remove(card);
      voice.complain("gone", { title });
    } else {
      voice.explain(error);
    }
  }
}

async function add(form) {
  const title = form.elements.title.value.trim();
  if (!title || form.dataset.busy) return;
  form.dataset.busy = "yes";
  if (form.dataset.title !== title) { // else it is sent once more, and must not become two
    form.dataset.title = title;
    form.dataset.key = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  }
  try {
    const task = await tasks.create({ project_id: data.project, title }, form.dataset.key);
    cards.show(task);
    form.reset();
    delete form.dataset.title;
    voice.say("added", { title: task.title });
  } catch (error) {
    voice.explain(error);
  } finally {
    done += 1;
    delete form.dataset.busy;
  }
  form.elements.title.focus();
}

// What others have done since the page was loaded.
async function refresh() {
  const before = done;
  const isInUse = () => document.hidden || wanted.size || dragging;
  if (isInUse()) return;
  const lists = await Promise.all(cards.states.map((state) => tasks.list(data.project, state, data.most))).catch(() => null);
  if (!lists || isInUse() || done !== before) return;
  const found = new Map(lists.flatMap((list) => list.items).map((task) => [String(task.id), task]));
  if (lists.every((list) => list.count <= data.most)) {
    board.querySelectorAll(".task").forEach((card) => { if (!found.has(card.dataset.id)) cards.remove(card); });
  }
  for (const task of found.values()) {
    if (cards.find(task.id)?.dataset.changed !== task.updated_at) cards.show(task);
  }
  lists.forEach((list, at) => cards.more.set(cards.states[at], list.count - cards.all(cards.states[at]).length));
  cards.count();
}

function step(card, by) {
  const there = cards.states[cards.states.indexOf(cards.state(card)) + by];
  if (there) move(card, there);
  else voice.say(by < 0 ? "first" : "last", { title: cards.title(card) });
}

// The card that an arrow leads to.
function neighbour(card, key) {
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
  const isSideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (event.shiftKey && isSideways) {
    step(card, event.key === "ArrowLeft" ? -1 : 1);
  } else {
    const next = event.shiftKey ? undefined : neighbour(card, event.key);
    if (!next) return; // at the end, the arrows scroll the page
    cards.focus(next);
  }
  event.preventDefault();
});

board.addEventListener("submit", (event) => {
  const card = event.target.closest(".task");
  if (card) {
    cards.focus(card);
    move(card, event.target.elements.state.value);
  } else {
    add(event.target);
  }
  event.preventDefault();
});

// What an event of the mouse is about; its target can be a text, which knows nothing of that.
function around(event, selector) {
  const node = event.target.nodeType === Node.TEXT_NODE ? event.target.parentElement : event.target;
  return node.closest?.(selector);
}

function mark(column) {
  board.querySelectorAll(".column").forEach((each) => each.classList.toggle("over", each === column));
}

board.addEventListener("dragstart", (event) => {
  const card = around(event, ".task");
  if (!card) return;
  dragging = true;
  event.dataTransfer.setData("text/x-task", card.dataset.id);
  event.dataTransfer.effectAllowed = "move";
});

board.addEventListener("dragover", (event) => {
  const column = event.dataTransfer.types.includes("text/x-task") ? around(event, ".column") : null;
  mark(column);
  if (column) event.preventDefault();
});

board.addEventListener("drop", (event) => {
  dragging = false;
  mark(null);
  const column = around(event, ".column");
  const card = cards.find(event.dataTransfer.getData("text/x-task"));
  if (!column || !card) return;
  event.preventDefault();
  move(card, column.dataset.state);
});

board.addEventListener("dragend", () => {
  dragging = false;
  mark(null);
});

document.querySelector(".keys").hidden = false;
document.documentElement.classList.add("board-ready");
setInterval(refresh, REFRESH);
document.addEventListener("visibilitychange", refresh);
