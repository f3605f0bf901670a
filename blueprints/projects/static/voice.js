// What the board says, in the reader's language: what was done to those who hear the page, and what went wrong to all.

import { Refusal } from "./tasks.js";

export class Voice {
  // trouble is shown, and heard at once; said is heard when there is a pause.
  constructor(words, trouble, said) {
    this.words = words;
    this.trouble = trouble;
    this.said = said;
  }

  word(name, values = {}) {
    return this.words[name].replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all);
  }

  say(name, values) {
    this.trouble.hidden = true;
    this.said.textContent = this.word(name, values);
  }

  complain(name, values) {
    this.said.textContent = "";
    this.trouble.textContent = this.word(name, values);
    this.trouble.hidden = false;
  }

  explain(error) {
    if (!(error instanceof Refusal)) throw error;
    const { status, seconds } = error;
    if (status === 0) this.complain("offline");
    else if (status === 401) this.complain("loggedOut");
    else if (status === 403) this.complain("forbidden");
    else if (status === 409) this.complain("closed");
    else if (status === 429) this.complain("tooMany", { seconds });
    else if (status >= 500) this.complain("failed");
    else this.complain("refused");
  }
}
