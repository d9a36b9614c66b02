"use strict";
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
  if (!section || !list) return;

  const STEP = 24;
  const FIELDS = ["about", "model", "reason", "right", "group", "answer", "label", "differ", "sort", "q"];
  const node = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const percent = (share) => `${Math.round(100 * share)}%`;
  const named = (answer) => (answer ? [node("bdi", answer[0]), answer.length > 1 ? ` ${percent(answer[1])}` : ""] : ["no answer"]);
  const isRight = (item, answer) => Boolean(answer.whole) && answer.whole[0] === item.truth;

  // every picture is one tile; the rest leave the fold in which they stand without this script
  const tiles = [...list.children, ...(rest ? rest.querySelectorAll("li") : [])];
  if (rest) rest.remove();
  const byPicture = new Map(tiles.map((tile) => [Number(tile.dataset.picture), tile]));
  for (const tile of tiles) {
    const image = tile.querySelector("img");
    const button = node("button", undefined, { type: "button", class: "open" });
    image.replaceWith(button);
    button.append(image);
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

  const matches = (item) => {
    const picture = data.pictures[item.picture];
    const answer = item.answers[modelIndex()];
    if (item.about !== aboutIndex()) return false;
    if (state.reason && answer.reason !== state.reason) return false;
    if (state.right && isRight(item, answer) !== (state.right === "yes")) return false;
    if (state.right && !answer.whole) return false;
    if (state.group && item.truth !== state.group && !picture.groups.includes(state.group)) return false;
    if (state.answer && !(answer.whole && answer.whole[0] === state.answer)) return false;
    if (state.label && !picture.labels.includes(state.label)) return false;
    if (state.differ) {
      const answers = new Set(item.answers.map((of) => (of.whole ? of.whole[0] : "")));
      if (answers.size < 2) return false;
    }
    if (state.q && !picture.id.toLowerCase().includes(state.q.toLowerCase())) return false;
    return true;
  };
  const certainty = (item) => (item.answers[modelIndex()].whole || ["", -1])[1] ?? 1;
  const ofTruth = (item, answer) =>
    !answer.whole ? 0 : isRight(item, answer) ? answer.whole[1] ?? 1 : 1 - (answer.whole[1] ?? 1);
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

  const describe = (tile, item) => {
    const answer = item.answers[modelIndex()];
    const says = tile.querySelector(".says");
    const right = isRight(item, answer);
    const verdict = node("strong", right ? "✓ " : "✕ ", { class: right ? "right" : "wrong" });
    verdict.append(...named(answer.whole));
    const truth = node("span");
    truth.append("annotated ", node("bdi", item.truth));
    says.replaceChildren(answer.whole ? verdict : node("strong", "no answer"), truth);
    if (answer.reason) says.append(node("span", answer.reason, { class: "quiet" }));
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

  // --- the large view ---
  const COLOURS = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
  const colour = (value) => {
    const place = (0.25 + 0.75 * value) * (COLOURS.length - 1);
    const low = Math.min(COLOURS.length - 2, Math.floor(place));
    return COLOURS[low].map((part, i) => part + (place - low) * (COLOURS[low + 1][i] - part));
  };
  const decode = async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  };
  const pixels = (source, width, height) => {
    const canvas = node("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, width, height);
    return [canvas, context, context.getImageData(0, 0, width, height)];
  };
  const maskOf = async (png, width, height) => {
    if (!png) return null;
    const [, , content] = pixels(await decode(`data:image/png;base64,${png}`), width, height);
    return Uint8Array.from({ length: width * height }, (_, i) => (content.data[4 * i] > 127 ? 1 : 0));
  };
  const filled = (content, hidden) => {
    const mean = [0, 0, 0];
    let seen = 0;
    for (let i = 0; i < hidden.length; i += 1) {
      if (hidden[i]) continue;
      seen += 1;
      for (let c = 0; c < 3; c += 1) mean[c] += content.data[4 * i + c];
    }
    for (let i = 0; i < hidden.length; i += 1) {
      if (hidden[i]) for (let c = 0; c < 3; c += 1) content.data[4 * i + c] = seen ? mean[c] / seen : 128;
    }
    return content;
  };
  const drawn = (source, change, label) => {
    const [canvas, context, content] = pixels(source, source.naturalWidth, source.naturalHeight);
    change(content);
    context.putImageData(content, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    return canvas;
  };
  const swapped = async (source, mask, donor) => {
    const image = byPicture.get(donor).querySelector("img");
    const width = source.naturalWidth;
    const height = source.naturalHeight;
    const [, , place] = pixels(image, width, height);
    const theirs = await maskOf(data.pictures[donor].mask, width, height);
    if (theirs) filled(place, theirs);
    return drawn(source, (content) => {
      for (let i = 0; i < mask.length; i += 1) {
        if (!mask[i]) for (let c = 0; c < 3; c += 1) content.data[4 * i + c] = place.data[4 * i + c];
      }
    }, "The person in other surroundings");
  };
  const overlaid = (source, map, mask, strength, label) => {
    const side = Math.sqrt(map.length);
    const small = node("canvas");
    small.width = small.height = side;
    const context = small.getContext("2d");
    const cells = context.createImageData(side, side);
    for (let i = 0; i < map.length; i += 1) {
      cells.data.set([map[i], 0, 0, 255], 4 * i);
    }
    context.putImageData(cells, 0, 0);
    const [, , wide] = pixels(small, source.naturalWidth, source.naturalHeight);
    return drawn(source, (content) => {
      const width = source.naturalWidth;
      for (let i = 0; i < content.data.length; i += 4) {
        const value = wide.data[i] / 255;
        const grey = 0.3 * content.data[i] + 0.59 * content.data[i + 1] + 0.11 * content.data[i + 2];
        const tint = colour(value);
        for (let c = 0; c < 3; c += 1) {
          const base = content.data[i + c] + strength * (0.55 * grey - content.data[i + c]);
          content.data[i + c] = base + strength * value * (tint[c] - base);
        }
      }
      if (!mask) return;
      for (let i = 0; i < mask.length; i += 1) {
        const edge = mask[i] && (!mask[i - 1] || !mask[i + 1] || !mask[i - width] || !mask[i + width]);
        if (edge) for (let c = 0; c < 3; c += 1) content.data[4 * i + c] = 255;
      }
    }, label);
  };

  const mark = (i) => {
    const made = node("span", undefined, { class: "model" });
    const { glyph, colour: ink, name } = data.models[i];
    made.append(node("span", `${glyph} `, { style: `color: ${ink}`, "aria-hidden": "true" }), node("bdi", name));
    return made;
  };
  const figure = (canvas, title, lines) => {
    const made = node("figure");
    const caption = node("figcaption");
    caption.append(node("strong", title), ...lines);
    made.append(canvas || node("div", "not shown here", { class: "blank quiet" }), caption);
    return made;
  };
  let drawing = 0;
  const enlarge = async (item) => {
    drawing += 1;
    const turn = drawing;
    const picture = data.pictures[item.picture];
    const image = byPicture.get(item.picture).querySelector("img");
    const width = image.naturalWidth || 1;
    const height = image.naturalHeight || 1;
    const person = await maskOf(picture.mask, width, height);
    const outline = item.task ? await maskOf(item.outline, width, height) : person;
    const other = person && picture.donors.length ? await swapped(image, person, picture.donors[0]) : null;
    if (turn !== drawing) return;
    const strength = Number(view.querySelector("#opacity").value) / 100;
    view.querySelector("#view-title").replaceChildren("Picture ", node("bdi", picture.id));
    const facts = view.querySelector("#view-facts");
    facts.replaceChildren("annotated ", node("bdi", data.about[item.about]), ": ", node("bdi", item.truth));
    for (const text of [...picture.groups, ...picture.labels]) facts.append(" · ", node("bdi", text));
    const asked = [["whole", "whole", drawn(image, () => {}, "The whole picture")]];
    if (person) {
      asked.push(["hidden", "person hidden", drawn(image, (content) => filled(content, person), "The picture with the person hidden")]);
      asked.push(["person", "only the person", drawn(image, (content) => filled(content, person.map((is) => 1 - is)), "Only the person")]);
    }
    const each = (say) => item.answers.map((answer, i) => {
      const line = node("span");
      line.append(mark(i), " ", ...[say(answer)].flat());
      return line;
    });
    const judged = (key) => (answer) =>
      answer[key] ? [answer[key][0] === item.truth ? "✓ " : "✕ ", ...named(answer[key])] : "–";
    const figures = asked.map(([key, title, canvas]) => figure(canvas, title, each(judged(key))));
    if (item.answers.some((answer) => answer.holds !== undefined)) {
      const stays = (answer) => (answer.holds === undefined ? "–" : `stays in ${percent(answer.holds)}`);
      figures.push(figure(other, "in other surroundings", each(stays)));
    }
    item.answers.forEach((answer, i) => {
      if (!answer.map && !answer.noMap && answer.mass === undefined) return;
      const name = data.models[i].name;
      const map = answer.map ? Uint8Array.from(atob(answer.map), (character) => character.charCodeAt(0)) : null;
      const place = answer.mass === undefined ? "" : `${percent(answer.mass)} of it on ${item.task ? "the objects" : "the person"}`;
      const canvas = map && overlaid(image, map, outline, strength, `Evidence of ${name}`);
      const lines = [mark(i), node("span", map ? place : answer.noMap || "no map", { class: "quiet" })];
      if (map) figures.push(figure(canvas, "where its evidence lies", lines));
      else figures.push(figure(null, "where its evidence lies", lines));
    });
    view.querySelector("#view-answers").replaceChildren(...figures);
    const reasons = item.answers.filter((answer) => answer.reason).length ? each((answer) => answer.reason || "–") : [];
    view.querySelector("#view-reasons").replaceChildren(...reasons);
    const place = shown.indexOf(item);
    view.querySelector("#view-place").textContent = place < 0 ? "" : `${place + 1} of ${shown.length}`;
    view.querySelector("#opacity").closest("label").hidden = !item.answers.some((answer) => answer.map);
    if (!view.open) view.showModal();
  };
  const open = (picture, remember = true) => {
    const item = data.items.find((of) => of.picture === picture && of.about === aboutIndex());
    if (!item) return;
    view.dataset.picture = picture;
    state.open = data.pictures[picture].id;
    if (remember) write();
    enlarge(item);
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
    const names = data.models.flatMap((model) => [model.name, `${model.name}, probability`, `${model.name}, reason`]);
    const lines = [["id", "annotated", ...names].map(quote).join(",")];
    for (const item of shown) {
      const answers = item.answers.flatMap((answer) => [...(answer.whole || ["", ""]), answer.reason || ""]);
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

  // --- tables whose rows can be sorted ---
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    table.querySelectorAll("thead th").forEach((header, column) => {
      const button = node("button", undefined, { type: "button", class: "sort" });
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") !== "descending";
        table.querySelectorAll("thead th").forEach((of) => of.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
        const rows = [...table.tBodies[0].rows];
        const compare = (a, b) => {
          const [first, other] = [value(a), value(b)];
          if (first === "" || other === "") return (first === "") - (other === "");
          const order = isNaN(first) || isNaN(other) ? first.localeCompare(other) : first - other;
          return down ? -order : order;
        };
        table.tBodies[0].append(...rows.sort(compare));
      });
    });
  }
})();
