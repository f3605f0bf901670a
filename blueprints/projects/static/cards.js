// The cards of the board, as the page has them: finding, making and moving them. What people wrote is only ever text.

export class Cards {
  constructor(board, template, data) {
    this.board = board;
    this.template = template;
    this.data = data;
    this.states = [...board.querySelectorAll(".column")].map((column) => column.dataset.state);
    this.days = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: "UTC" });
    // Where the page shows only some of a column, the others are counted all the same.
    this.more = new Map(this.states.map((state) => [state, Number(this.#count(state).textContent) - this.all(state).length]));
    board.querySelectorAll(".task").forEach((card) => this.#equip(card));
  }

  column(state) {
    return this.board.querySelector(`.column[data-state="${state}"]`);
  }

  all(state) {
    return [...this.column(state).querySelectorAll(".task")];
  }

  find(id) {
    return document.getElementById(`task-${id}`);
  }

  state(card) {
    return card.closest(".column").dataset.state;
  }

  title(card) {
    return card.querySelector("a").textContent;
  }

  focus(card) {
    card.querySelector("a").focus({ preventScroll: matchMedia("(pointer: coarse)").matches }); // a finger has its place
  }

  // Show a task as it is: in its column, with what it says.
  show(task) {
    const card = this.find(task.id) ?? this.#make(task.id);
    const title = card.querySelector("a");
    const day = task.due_on ? this.days.format(new Date(task.due_on)) : "";
    title.textContent = task.title;
    card.querySelectorAll(".about").forEach((each) => { each.textContent = `: ${task.title}`; });
    card.querySelector(".who").textContent = this.data.people[task.assignee_id] ?? "";
    const late = task.state !== "done" && Boolean(day) && task.due_on < this.data.today;
    card.querySelector(".due").textContent = day && this.data.words[late ? "late" : "due"].replace("{day}", day);
    card.querySelector(".due").classList.toggle("late", late);
    card.dataset.due = task.due_on ?? "";
    card.dataset.etag = task.etag ?? "";
    card.dataset.changed = task.updated_at;
    this.place(card, task.state);
  }

  // Put a card into a column, unless it is there: before another card of it, or where the page would have it.
  place(card, state, next = undefined) {
    if (!card.isConnected || this.state(card) !== state) {
      const focused = card.contains(document.activeElement);
      const list = this.column(state).querySelector("ul");
      if (next === undefined) next = this.#after(card, state);
      list.insertBefore(card, next?.parentElement === list ? next : null);
      if (focused) this.focus(card);
    }
    this.#offer(card, state);
    this.count();
  }

  // The card before which another one belongs, as the page sorts them: what is done the newest first, else by its day.
  #after(card, state) {
    const others = this.all(state).filter((each) => each !== card);
    if (state === "done") return others[0] ?? null;
    const day = (each) => each.dataset.due || "9999-12-31";
    const isLater = (each) => day(each) > day(card) || (day(each) === day(card) && Number(each.dataset.id) > Number(card.dataset.id));
    return others.find(isLater) ?? null;
  }

  // Take a card away. Who was at it is then at the next one, or at the head of its column.
  remove(card) {
    const focused = card.contains(document.activeElement);
    const next = card.nextElementSibling ?? card.previousElementSibling;
    const head = card.closest(".column").querySelector("h2");
    card.remove();
    this.count();
    if (focused && next) {
      this.focus(next);
    } else if (focused) {
      head.tabIndex = -1;
      head.focus();
    }
  }

  count() {
    for (const state of this.states) this.#count(state).textContent = this.all(state).length + this.more.get(state);
  }

  // Replace the buttons that the page came with by those for every state, of which the others are shown.
  #equip(card) {
    const made = this.template.content.querySelector(".moves").cloneNode(true);
    made.querySelectorAll(".about").forEach((each) => { each.textContent = `: ${this.title(card)}`; });
    card.querySelector(".moves").replaceWith(made);
    this.#address(card);
    this.#offer(card, this.state(card));
    card.draggable = true;
  }

  #make(id) {
    const card = this.template.content.querySelector(".task").cloneNode(true);
    card.id = `task-${id}`;
    card.dataset.id = id;
    card.draggable = true;
    this.#address(card);
    return card;
  }

  #address(card) {
    const page = this.data.page.replace("/0/", `/${card.dataset.id}/`);
    card.querySelector("a").href = page;
    card.querySelectorAll("form").forEach((form) => { form.action = `${page}move`; });
  }

  #offer(card, state) {
    card.querySelectorAll(".moves form").forEach((form) => { form.hidden = form.dataset.to === state; });
  }

  #count(state) {
    return this.column(state).querySelector(".count");
  }
}
