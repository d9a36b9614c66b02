// The large view of a picture: what each model answers to it, whole and changed, and on what evidence.
const largeView = (data, imageOf) => {
  const view = document.getElementById("view");
  const { verdict, sentence, mark } = words(data);
  const TITLES = { whole: "whole", hidden: "person hidden", person: "only the person", elsewhere: "in other surroundings" };
  const LABELS = {
    whole: "The whole picture",
    hidden: "The picture with the person hidden",
    person: "Only the person",
    elsewhere: "The person in other surroundings",
  };

  const figure = (canvas, title, lines) => {
    const made = node("figure");
    const caption = node("figcaption");
    caption.append(node("strong", title), ...lines);
    if (canvas !== undefined) made.append(canvas || node("div", "not shown here", { class: "blank quiet" }));
    made.append(caption);
    return made;
  };
  const each = (item, say, between = " ") => item.answers.map((answer, i) => {
    const line = node("span", undefined, { class: "line" });
    line.append(mark(i), between, ...[say(answer)].flat());
    return line;
  });
  const judged = (item, key) => (answer) => {
    const written = answer.says && answer.says[key];
    if (written) return [verdict(item, answer[key]), sentence(written)];
    if (key === "elsewhere") return answer.holds === undefined ? "–" : `stays in ${percent(answer.holds)}`;
    return answer[key] ? [verdict(item, answer[key])] : "–";
  };

  // the picture as it was shown to the models: by key, undefined without any picture
  const changed = async (item, image) => {
    const picture = data.pictures[item.picture];
    if (!image) return [{}, null];
    const [width, height] = [image.naturalWidth || 1, image.naturalHeight || 1];
    const person = await drawing.maskOf(picture.mask, width, height);
    const canvases = { whole: drawing.drawn(image, () => {}, LABELS.whole), hidden: null, person: null, elsewhere: null };
    if (person) {
      const place = person.map((is) => 1 - is);
      canvases.hidden = drawing.drawn(image, (content) => drawing.filled(content, person), LABELS.hidden);
      canvases.person = drawing.drawn(image, (content) => drawing.filled(content, place), LABELS.person);
      const lender = picture.donors.find(imageOf);
      if (lender !== undefined) {
        const { mask } = data.pictures[lender];
        canvases.elsewhere = await drawing.swapped(image, person, imageOf(lender), mask, LABELS.elsewhere);
      }
    }
    const outline = item.task ? await drawing.maskOf(item.outline, width, height) : person;
    return [canvases, outline];
  };
  const asked = (item, key, canvases) =>
    key === "whole" || (key === "elsewhere"
      ? item.answers.some((answer) => answer.holds !== undefined || answer.says?.elsewhere)
      : (canvases[key] && !data.sentences) || item.answers.some((answer) => answer.says?.[key]));
  const evidence = (item, image, outline) => item.answers.flatMap((answer, i) => {
    if (!answer.map && !answer.noMap && answer.mass === undefined) return [];
    const map = answer.map && image ? Uint8Array.from(atob(answer.map), (character) => character.charCodeAt(0)) : null;
    const place = answer.mass === undefined ? "" : `${percent(answer.mass)} of it on ${item.task ? "the objects" : "the person"}`;
    const strength = Number(view.querySelector("#opacity").value) / 100;
    const canvas = map && drawing.overlaid(image, map, outline, strength, `Evidence of ${data.models[i].name}`);
    const title = answer.word ? `where its evidence for “${answer.word}” lies` : "where its evidence lies";
    return [figure(canvas, title, [mark(i), node("span", map ? place : answer.noMap || "no map", { class: "quiet" })])];
  });

  let drawings = 0;
  return async (item, place, total) => {
    drawings += 1;
    const turn = drawings;
    const picture = data.pictures[item.picture];
    const image = imageOf(item.picture);
    const [canvases, outline] = await changed(item, image);
    if (turn !== drawings) return; // another picture was asked for meanwhile
    view.querySelector("#view-title").replaceChildren("Picture ", node("bdi", picture.id));
    const facts = view.querySelector("#view-facts");
    facts.replaceChildren("annotated ", node("bdi", data.about[item.about]), ": ", node("bdi", item.truth || "not known"));
    for (const text of [...picture.groups, ...picture.labels]) facts.append(" · ", node("bdi", text));
    const figures = Object.keys(TITLES)
      .filter((key) => asked(item, key, canvases))
      .map((key) => figure(canvases[key], TITLES[key], each(item, judged(item, key))));
    view.querySelector("#view-answers").replaceChildren(...figures, ...evidence(item, image, outline));
    const reasons = item.answers.some((answer) => answer.reason) ? each(item, (answer) => answer.reason || "–", ": ") : [];
    view.querySelector("#view-reasons").replaceChildren(...(item.kind ? [node("span", item.kind)] : []), ...reasons);
    view.querySelector("#view-place").textContent = place < 0 ? "" : `${place + 1} of ${total}`;
    view.querySelector("#opacity").closest("label").hidden = !item.answers.some((answer) => answer.map);
    if (!view.open) view.showModal();
  };
};
