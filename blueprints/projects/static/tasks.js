// The API's tasks. Every answer that is no success is a Refusal, which says why.

export class Refusal extends Error {
  // status is 0 where the server could not be reached.
  constructor(status, detail = "", seconds = 0) {
    super(detail);
    this.status = status;
    this.seconds = seconds;
  }
}

export class Tasks {
  constructor(address, csrf) {
    this.address = address;
    this.csrf = csrf;
  }

  // Each gives the task, with its entity tag as `etag`.
  get(id) {
    return this.#send("GET", `${this.address}/${id}`);
  }

  create(task) {
    return this.#send("POST", this.address, task, { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) });
  }

  change(id, etag, changes) {
    return this.#send("PATCH", `${this.address}/${id}`, changes, { "If-Match": etag });
  }

  async list(project, state, limit) {
    const query = new URLSearchParams({ project_id: project, state, limit, sort: state === "done" ? "-updated_at" : "due_on" });
    return (await this.#send("GET", `${this.address}?${query}`)).items;
  }

  async #send(method, address, body, headers = {}) {
    const options = { method, headers: { Accept: "application/json", "X-CSRF-Token": this.csrf, ...headers } };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers["Content-Type"] = "application/json";
    }
    let answer;
    try {
      answer = await fetch(address, options);
    } catch {
      throw new Refusal(0);
    }
    const value = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      throw new Refusal(answer.status, value.detail, Number(answer.headers.get("Retry-After")) || 1);
    }
    return { ...value, etag: answer.headers.get("ETag") };
  }
}
