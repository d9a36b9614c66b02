"use strict";
// What is put into words about answers and sentences, for tiles and for the large view.
const node = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const percent = (share) => `${Math.round(100 * share)}%`;

// "yes" and "no": right or wrong; "none": it names nothing; "": what is true is not known
const outcome = (item, named) => {
  if (!item.truth) return "";
  if (!named) return "none";
  return named[0] === item.truth ? "yes" : "no";
};

const words = (data) => {
  const SIGNS = { yes: "✓ ", no: "✕ ", none: data.sentences ? "○ " : "", "": "" };
  const CLASSES = { yes: { class: "right" }, no: { class: "wrong" } };
  const verdict = (item, named) => {
    const is = outcome(item, named);
    const made = node("strong", SIGNS[is], CLASSES[is]);
    if (named) made.append(node("bdi", named[0]), named.length > 1 ? ` ${percent(named[1])}` : "");
    else made.append(data.nothing);
    return made;
  };
  const sentence = (parts) => {
    const made = node("q", undefined, { dir: "auto" });
    for (const part of parts) {
      made.append(typeof part === "string" ? part : node("mark", part[0], { title: part[1] }));
    }
    return made;
  };
  const mark = (i) => {
    const { glyph, colour, name } = data.models[i];
    const made = node("span", undefined, { class: "model" });
    made.append(node("span", `${glyph} `, { style: `color: ${colour}`, "aria-hidden": "true" }), node("bdi", name));
    return made;
  };
  // a long sentence: its beginning, and a button for the rest
  const shortened = (said) => {
    if (said.textContent.length <= 280) return said;
    const made = node("span", undefined, { class: "long" });
    const button = node("button", "show all", { type: "button", "aria-expanded": "false" });
    button.addEventListener("click", (event) => {
      event.stopPropagation(); // the rest of a tile enlarges the picture
      const open = made.classList.toggle("whole");
      button.textContent = open ? "show less" : "show all";
      button.setAttribute("aria-expanded", open);
    });
    made.append(said, button);
    return made;
  };
  return { verdict, sentence, shortened, mark };
};
