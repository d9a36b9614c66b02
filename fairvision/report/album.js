// Filters, sorts and enlarges the pictures of the page. Reads only the page; what is chosen stands
// in the address, so that it can be sent.
(() => {
  const data = JSON.parse(document.getElementById("album-data").textContent);
  const section = document.getElementById("pictures");
  const list = document.getElementById("tiles");
  const rest = document.getElementById("other-tiles");
  const form = document.getElementById("album-form");
  const count = document.getElementById("album-count");
  const more = document.getElementById("album-more");
  const view = document.getElementById("view");

  const STEP = 24;
  const FIELDS = ["about", "model", "kind", "reason", "right", "group", "answer", "label", "differ", "sort", "q"];
  const { verdict, sentence, shortened, mark } = words(data);

  // every picture is one tile; the rest leave the fold in which they stand without this script
  const tiles = [...list.children, ...(rest ? rest.querySelectorAll("li") : [])];
  if (rest) rest.remove();
  const byPicture = new Map(tiles.map((tile) => [Number(tile.dataset.picture), tile]));
  for (const tile of tiles) {
    const head = tile.firstElementChild; // the picture, or its name
    const button = node("button", undefined, { type: "button", class: "open" });
    head.replaceWith(button);
    button.append(head);
  }
  form.hidden = false;

  let state = {};
  let shown = [];
  let limit = STEP;

  const read = () => {
    const values = new URLSearchParams(location.hash.replace(/^#pictures&?/, ""));
    state = Object.fromEntries(values.entries());
    limit = STEP;
    for (const field of FIELDS) {
      const control = form.elements[field];
      if (!control) continue;
      if (control.type === "checkbox") control.checked = state[field] === "1";
      else control.value = state[field] || "";
      if (control.tagName === "SELECT" && control.selectedIndex < 0) control.value = "";
    }
  };
  const write = () => {
    const values = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
    history.replaceState(null, "", `#pictures${values.size ? "&" : ""}${values}`);
  };
  const modelIndex = () => Math.max(0, data.models.findIndex((model) => model.name === state.model));
  const aboutIndex = () => Math.max(0, data.about.indexOf(state.about));

  const written = (parts) => parts.map((part) => (typeof part === "string" ? part : part[0])).join("");
  const texts = (item) => {
    const sentences = item.answers.flatMap((answer) => Object.values(answer.says || {}).map(written));
    item.texts ??= [data.pictures[item.picture].id, ...sentences].join("\n").toLowerCase();
    return item.texts;
  };
  const matches = (item) => {
    const picture = data.pictures[item.picture];
    const answer = item.answers[modelIndex()];
    if (item.about !== aboutIndex()) return false;
    if (state.kind && item.kind !== state.kind) return false;
    if (state.reason && answer.reason !== state.reason) return false;
    if (state.right && outcome(item, answer.whole) !== state.right) return false;
    if (state.group && item.truth !== state.group && !picture.groups.includes(state.group)) return false;
    if (state.answer && !(answer.whole && answer.whole[0] === state.answer)) return false;
    if (state.label && !picture.labels.includes(state.label)) return false;
    if (state.differ && new Set(item.answers.map((of) => (of.whole ? of.whole[0] : ""))).size < 2) return false;
    return !state.q || texts(item).includes(state.q.toLowerCase());
  };
  const certainty = (item) => (item.answers[modelIndex()].whole || ["", -1])[1] ?? 1;
  const ofTruth = (item, { whole }) => {
    if (!whole) return 0.5;
    const sure = whole[1] ?? 1;
    return outcome(item, whole) === "yes" ? sure : 1 - sure;
  };
  const spread = (item) => {
    const values = item.answers.map((answer) => ofTruth(item, answer));
    return Math.max(...values) - Math.min(...values);
  };
  const ORDERS = {
    certain: (a, b) => certainty(b) - certainty(a),
    unsure: (a, b) => certainty(a) - certainty(b),
    apart: (a, b) => spread(b) - spread(a),
    holds: (a, b) => (a.answers[modelIndex()].holds ?? 2) - (b.answers[modelIndex()].holds ?? 2),
    id: (a, b) => data.pictures[a.picture].id.localeCompare(data.pictures[b.picture].id, undefined, { numeric: true }),
  };

  // of captions the chosen model stands beside another: the first, or the second beside the first
  const beside = () => (data.sentences && data.models.length > 1 ? [modelIndex(), modelIndex() ? 0 : 1] : [modelIndex()]);
  const describe = (tile, item) => {
    const lines = beside().flatMap((i, _, together) => {
      const answer = item.answers[i];
      const line = node("span");
      if (together.length > 1) line.append(mark(i), " ");
      line.append(verdict(item, answer.whole));
      return answer.says ? [line, shortened(sentence(answer.says.whole))] : [line];
    });
    const truth = node("span");
    truth.append("annotated ", node("bdi", item.truth || "not known"));
    const why = item.kind || item.answers[modelIndex()].reason;
    tile.querySelector(".says").replaceChildren(...lines, truth, ...(why ? [node("span", why, { class: "quiet" })] : []));
  };

  const show = () => {
    shown = data.items.filter(matches);
    const order = ORDERS[state.sort];
    if (order) shown = shown.map((item, i) => [item, i]).sort((a, b) => order(a[0], b[0]) || a[1] - b[1]).map(([item]) => item);
    const visible = shown.slice(0, limit);
    list.replaceChildren(...visible.map((item) => {
      const tile = byPicture.get(item.picture);
      describe(tile, item);
      return tile;
    }));
    const total = data.items.filter((item) => item.about === aboutIndex()).length;
    count.textContent = shown.length ? `${shown.length} of ${total} pictures` : `No picture is so; ${total} in all`;
    more.hidden = shown.length <= limit;
    more.textContent = `Show more (${shown.length - visible.length} left)`;
  };

  const enlarge = largeView(data, (picture) => byPicture.get(picture).querySelector("img"));
  const open = (picture, remember = true) => {
    const item = data.items.find((of) => of.picture === picture && of.about === aboutIndex());
    if (!item) return;
    view.dataset.picture = picture;
    state.open = data.pictures[picture].id;
    if (remember) write();
    enlarge(item, shown.indexOf(item), shown.length);
  };
  const step = (by) => {
    const place = shown.findIndex((item) => item.picture === Number(view.dataset.picture));
    const next = shown[place + by];
    if (next) open(next.picture);
  };

  list.addEventListener("click", (event) => {
    const tile = event.target.closest("li");
    if (tile && event.target.closest("button")) open(Number(tile.dataset.picture));
  });
  view.addEventListener("close", () => {
    const tile = byPicture.get(Number(view.dataset.picture));
    delete state.open;
    write();
    if (tile && tile.isConnected) tile.querySelector("button").focus();
  });
  view.addEventListener("keydown", (event) => {
    if (event.target.type === "range") return;
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });
  view.querySelector("#view-close").addEventListener("click", () => view.close());
  view.querySelector("#view-before").addEventListener("click", () => step(-1));
  view.querySelector("#view-next").addEventListener("click", () => step(1));
  view.querySelector("#opacity").addEventListener("input", () => open(Number(view.dataset.picture), false));
  more.addEventListener("click", () => {
    const first = limit;
    limit += 2 * STEP;
    show();
    list.children[first]?.querySelector("button").focus();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    for (const field of FIELDS) {
      const control = form.elements[field];
      if (control) state[field] = control.type === "checkbox" ? (control.checked ? "1" : "") : control.value;
    }
    limit = STEP;
    write();
    show();
  });
  document.getElementById("album-clear").addEventListener("click", () => {
    state = {};
    write();
    read();
    show();
  });
  document.getElementById("album-save").addEventListener("click", () => {
    const quote = (value) => `"${String(value ?? "").replaceAll('"', '""').replace(/^([=+\-@\t\r])/, "'$1")}"`;
    const kept = data.sentences ? ["sentence"] : ["probability", "reason"];
    const names = data.models.flatMap(({ name }) => [name, ...kept.map((column) => `${name}, ${column}`)]);
    const lines = [["id", "annotated", ...names].map(quote).join(",")];
    for (const item of shown) {
      const answers = item.answers.flatMap(({ whole, says, reason }) =>
        data.sentences ? [whole?.[0], written(says.whole)] : [whole?.[0], whole?.[1], reason]);
      lines.push([data.pictures[item.picture].id, item.truth, ...answers].map(quote).join(","));
    }
    const link = node("a", undefined, { download: "pictures.csv" });
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  });

  const follow = (behavior) => {
    read();
    show();
    if (location.hash.startsWith("#pictures")) {
      if (state.open) {
        const picture = data.pictures.findIndex((of) => of.id === state.open);
        if (picture >= 0) open(picture, false);
      } else if (location.hash.length > "#pictures".length) {
        section.scrollIntoView({ behavior });
      }
    }
  };
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#pictures")) follow("auto"); // links to other parts keep the selection
  });
  follow("instant"); // a page that opens at its pictures does not travel there
})();
