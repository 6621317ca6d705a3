// A map of prompts to point at: the text of each is in the page, so that no kernel is asked.
// Texts go in by textContent alone: they may hold anything.

const EDGE = 26; // room around the dots, in CSS pixels, as all that follows
const HEIGHT = 380;
const WIDE = 6.7; // of a letter, more or less

// The shapes that matplotlib calls by these letters.
const SHAPES = {
  o: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
  s: "M-5,-5H5V5H-5Z",
  D: "M0,-6.5L6.5,0L0,6.5L-6.5,0Z",
  "^": "M0,-6L6,5H-6Z",
  v: "M0,6L6,-5H-6Z",
  "<": "M-6,0L5,-6V6Z",
  ">": "M6,0L-5,-6V6Z",
  P: "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
  X: "M-6,-3L-3,-6L0,-3L3,-6L6,-3L3,0L6,3L3,6L0,3L-3,6L-6,3L-3,0Z",
  "*": "M0,-7L1.8,-2.2L6.7,-2.2L2.8,0.9L4.1,5.7L0,3L-4.1,5.7L-2.8,0.9L-6.7,-2.2L-1.8,-2.2Z",
};

const sized = (figure) => {
  const width = Math.max(figure.clientWidth, 260);
  figure.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  figure.replaceChildren();
  return width;
};

// Places in pixels: one unit is as long across as down, since only distances mean anything.
function places(dots, width) {
  const ends = (of) => [Math.min(...dots.map(of)), Math.max(...dots.map(of))];
  const [[left, right], [bottom, top]] = [ends(({ x }) => x), ends(({ y }) => y)];
  const unit = Math.min((width - 2 * EDGE) / (right - left || 1), (HEIGHT - 2 * EDGE) / (top - bottom || 1));
  const across = (x) => width / 2 + unit * (x - (left + right) / 2);
  const down = (y) => HEIGHT / 2 - unit * (y - (bottom + top) / 2);
  return dots.map(({ x, y }) => [across(x), down(y)]);
}

// Where each dot's word stands: beside it, on the side where it covers the fewest words and dots so far.
function beside(dots, where, width) {
  const taken = where.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
  const covered = ([left, top, right, bottom]) =>
    taken.filter((box) => left < box[2] && box[0] < right && top < box[3] && box[1] < bottom).length +
    (left < 0 || right > width ? 100 : 0);
  return dots.map(({ word }, index) => {
    const [x, y] = where[index];
    const long = WIDE * word.length;
    const choices = [[9, -4], [-9 - long, -4], [9, 13], [-9 - long, 13], [-long / 2, -11], [-long / 2, 21]];
    const boxes = choices.map(([dx, dy]) => [x + dx, y + dy - 10, x + dx + long, y + dy + 2]);
    const bad = boxes.map(covered);
    const best = bad.indexOf(Math.min(...bad));
    taken.push(boxes[best]);
    return choices[best];
  });
}

function line(figure, [x1, y1], [x2, y2], className) {
  return svg(figure, "line", { x1, y1, x2, y2, class: className });
}

function shape(parent, { marker, colour }, className) {
  const drawn = svg(parent, "path", { d: SHAPES[marker] ?? SHAPES.o, class: className });
  if (colour) drawn.style.fill = colour;
  return drawn;
}

function drawMap(figure, model, at, pick) {
  const [dots, picked] = [model.get("dots"), model.get("picked")];
  const width = sized(figure);
  const where = places(dots, width);
  const words = beside(dots, where, width);
  const edges = model.get("edges").map(([from, to, tree]) => {
    const drawn = line(figure, where[from], where[to], `srt-map-edge ${tree ? "" : "srt-map-far"}`);
    return [drawn, from, to];
  });
  if (picked[0] !== picked[1]) line(figure, where[picked[0]], where[picked[1]], "srt-map-way");
  for (const index of new Set(picked)) {
    svg(figure, "circle", { cx: where[index][0], cy: where[index][1], r: 11, class: "srt-map-ring" });
  }
  dots.forEach((dot, index) => {
    const [x, y] = where[index];
    const group = svg(figure, "g", { transform: `translate(${x},${y})` });
    shape(group, dot, "srt-map-dot");
    svg(group, "text", { x: words[index][0], y: words[index][1] }, dot.word);
    const hit = svg(group, "circle", { r: 12, class: "srt-map-hit", "data-dot": index });
    hit.addEventListener("pointerenter", () => {
      for (const [drawn, from, to] of edges) drawn.classList.toggle("srt-map-near", from === index || to === index);
      at(index);
    });
    hit.addEventListener("pointerleave", () => {
      for (const [drawn] of edges) drawn.classList.remove("srt-map-near");
    });
    hit.addEventListener("click", () => pick(index));
  });
}

function drawCurve(figure, model) {
  const { alpha, values, low, high } = model.get("curve");
  const width = sized(figure);
  const [left, right, top, bottom] = [44, width - 8, 26, HEIGHT - 34];
  const x = (value) => left + (right - left) * value;
  const y = (value) => bottom - ((bottom - top) * (value - low)) / (high - low);
  for (const value of [0, 0.5, 1]) {
    line(figure, [left, y(value)], [right, y(value)], "srt-map-grid");
    svg(figure, "text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value));
  }
  line(figure, [x(0), y(0)], [x(1), y(1)], "srt-map-even");
  const points = values.map((value, index) => `${x(alpha[index]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  svg(figure, "polyline", { points, class: "srt-map-curve" });
  svg(figure, "text", { x: left, y: 14 }, "distance of the output, over d(1); dotted: a straight line");
  svg(figure, "text", { x: left, y: HEIGHT - 14 }, "A");
  svg(figure, "text", { x: (left + right) / 2, y: HEIGHT - 14, "text-anchor": "middle" }, "α");
  svg(figure, "text", { x: right, y: HEIGHT - 14, "text-anchor": "end" }, "B");
}

function drawLegend(row, dots) {
  row.replaceChildren();
  const first = new Map(dots.map((dot) => [dot.name, dot]).reverse());
  if (first.size < 2) return;
  for (const [name, dot] of [...first].reverse()) {
    const entry = add(row, "span", "srt-map-entry");
    shape(svg(entry, "svg", { viewBox: "-8 -8 16 16" }), dot, "srt-map-dot");
    add(entry, "bdi", "", name);
  }
}

function render({ model, el }) {
  const root = add(el, "div", "srt-map");
  const heading = add(root, "div", "srt-map-heading");
  const legend = add(root, "div", "srt-map-legend");
  const figures = add(root, "div", "srt-map-figures");
  const map = svg(figures, "svg", { role: "img" });
  const curve = svg(figures, "svg", { role: "img" });
  const say = add(root, "div", "srt-map-say");
  const pointed = add(say, "div", "", "");
  const path = add(say, "div", "srt-map-path");
  const near = add(say, "div", "srt-map-near-means");

  function at(index) {
    const { text, name } = model.get("dots")[index];
    pointed.replaceChildren();
    add(pointed, "bdi", "srt-map-text", text);
    pointed.append(` (${name})`);
  }
  function pick(index) {
    model.set("picked", [model.get("picked")[1], index]);
    model.save_changes();
  }
  function draw() {
    if (!model.get("dots").length) return;
    heading.textContent = model.get("heading");
    path.textContent = model.get("path");
    near.textContent = model.get("near");
    map.setAttribute("aria-label", model.get("label"));
    curve.setAttribute("aria-label", model.get("path"));
    if (!pointed.textContent) pointed.textContent = "Point at a prompt to read it and see all its lines; click two to see the path between them.";
    drawLegend(legend, model.get("dots"));
    drawMap(map, model, at, pick);
    drawCurve(curve, model);
  }
  let asked = 0;
  const ask = () => (asked ||= requestAnimationFrame(() => ((asked = 0), draw())));
  const size = new ResizeObserver(ask);
  size.observe(figures);
  const events = ["dots", "edges", "picked", "curve", "heading", "path", "near", "label"].map((name) => `change:${name}`);
  for (const name of events) model.on(name, ask);
  draw();
  return () => {
    size.disconnect();
    cancelAnimationFrame(asked);
    for (const name of events) model.off(name, ask);
  };
}

export default { render };
