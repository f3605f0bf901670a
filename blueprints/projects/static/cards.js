// The cards of the board, as the page has them: finding, making and moving them. What people wrote is only ever text.

export class Cards {
  constructor(board, template, data) {
    this.board = board;
    this.template = template;
    this.data = data;
    this.states = [...board.querySelectorAll(".column")].map((column) => column.dataset.state);
  }

  column(state) {
    return this.board.querySelector(`.column[data-state="${state}"]`);
  }

  all(state) {
    return [...this.column(state).querySelectorAll(".task")];
  }

  find(id) {
    return this.board.querySelector(`.task[data-id="${id}"]`);
  }

  state(card) {
    return card.closest(".column").dataset.state;
  }

  title(card) {
    return card.querySelector("a").textContent;
  }

  focus(card) {
    card.querySelector("a").focus();
  }

  // Show a task as it is: in its column, with what it says. Returns its card.
  show(task) {
    const card = this.find(task.id) ?? this.#make(task);
    card.querySelector("a").textContent = task.title;
    card.querySelectorAll(".about").forEach((each) => { each.textContent = `: ${task.title}`; });
    card.dataset.etag = task.etag ?? "";
    card.dataset.changed = task.updated_at;
    this.place(card, task.state);
    return card;
  }

  // Put a card into a column, unless it is there.
  place(card, state) {
    if (!card.isConnected || this.state(card) !== state) {
      const focused = card.contains(document.activeElement);
      this.column(state).querySelector("ul").append(card);
      if (focused) this.focus(card);
    }
    this.#offer(card, state);
    this.count();
  }

  remove(card) {
    card.remove();
    this.count();
  }

  count() {
    for (const state of this.states) {
      const shown = this.column(state).querySelector(".count");
      const more = Number(shown.dataset.more ?? 0);
      shown.textContent = this.all(state).length + more;
    }
  }

  // Where the page shows only some of a column, the others are counted all the same.
  remember() {
    for (const state of this.states) {
      const shown = this.column(state).querySelector(".count");
      shown.dataset.more = Number(shown.textContent) - this.all(state).length;
    }
  }

  // Replace the buttons that the page came with by those for every state, of which the others are shown.
  equip(card) {
    const made = this.template.content.querySelector(".moves").cloneNode(true);
    made.querySelectorAll("form").forEach((form) => { form.action = this.#address(card.dataset.id, "move"); });
    made.querySelectorAll(".about").forEach((each) => { each.textContent = `: ${this.title(card)}`; });
    (card.querySelector(".moves") ?? card.appendChild(document.createElement("div"))).replaceWith(made);
    card.draggable = true;
    this.#offer(card, this.state(card));
  }

  #make(task) {
    const card = this.template.content.querySelector(".task").cloneNode(true);
    card.dataset.id = task.id;
    card.querySelector("a").href = this.#address(task.id);
    card.querySelector("p").textContent = task.due_on ? this.data.words.due.replace("{day}", task.due_on) : "";
    card.querySelectorAll("form").forEach((form) => { form.action = this.#address(task.id, "move"); });
    card.draggable = true;
    return card;
  }

  #offer(card, state) {
    card.querySelectorAll(".moves form").forEach((form) => { form.hidden = form.dataset.to === state; });
  }

  #address(id, action = "") {
    return this.data.page.replace("/0/", `/${id}/`) + action;
  }
}
