// Draws pictures in which a part is hidden or exchanged, and maps over pictures.
const drawing = (() => {
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
  const swapped = async (source, mask, image, png, label) => {
    const width = source.naturalWidth;
    const height = source.naturalHeight;
    const [, , place] = pixels(image, width, height);
    const theirs = await maskOf(png, width, height);
    if (theirs) filled(place, theirs);
    return drawn(source, (content) => {
      for (let i = 0; i < mask.length; i += 1) {
        if (!mask[i]) for (let c = 0; c < 3; c += 1) content.data[4 * i + c] = place.data[4 * i + c];
      }
    }, label);
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
  return { maskOf, filled, drawn, swapped, overlaid };
})();
