// What can lie on the pad, and how it looks. Lengths are in units of which the pad is 280 wide and high, whatever
// size it has on the screen.

/**
 * @typedef {readonly [x: number, y: number, pressure: number]} Point   pressure: 0 to 1, EVEN where none is felt
 * @typedef {{readonly width: number, readonly points: readonly Point[]}} Stroke
 * @typedef {{readonly picture: import("./pictures.js").Picture}} Placed   fills the pad as far as its shape allows
 * @typedef {Stroke | Placed} Mark
 */

export const SIDE = 280;
export const EVEN = 0.5;

const NOTHING = 0.01; // a line of no length at all is not drawn everywhere; one of this length is a dot

/** @param {Point} a @param {Point} b */
const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

/**
 * A stroke as the data of an SVG path: parabolas from the middle of one step to the middle of the next, each bent
 * towards the point between them. Such a curve has no corners, however far apart the points are.
 * @param {readonly Point[]} points
 * @returns {string}
 */
export function outline(points) {
  const [first] = points;
  const last = points[points.length - 1];
  let path = `M${first[0]} ${first[1]}`;
  if (points.length > 1) path += `L${middle(first, points[1]).join(" ")}`;
  for (let i = 1; i < points.length - 1; i++) {
    path += `Q${points[i][0]} ${points[i][1]} ${middle(points[i], points[i + 1]).join(" ")}`;
  }
  return path + `L${last[0] + NOTHING} ${last[1]}`;
}

/**
 * @param {CanvasRenderingContext2D} context   scaled so that the pad is 280 wide and high
 * @param {Stroke} stroke
 */
function paintStroke(context, { width, points }) {
  if (points.every((point) => point[2] === EVEN)) {
    context.lineWidth = width;
    context.stroke(new Path2D(outline(points)));
    return;
  }
  // A line has one width, so a stroke of a pen that feels pressure is many short lines: the same parabolas, one each.
  let from = points[0];
  points.forEach((point, i) => {
    const to = i + 1 < points.length ? middle(point, points[i + 1]) : [point[0] + NOTHING, point[1]];
    context.lineWidth = width * (0.4 + 1.2 * point[2]);
    context.beginPath();
    context.moveTo(from[0], from[1]);
    context.quadraticCurveTo(point[0], point[1], to[0], to[1]);
    context.stroke();
    from = to;
  });
}

/**
 * Where a picture lies when it is as large as fits into a square, in the square's middle.
 * @param {{width: number, height: number}} picture
 * @param {number} side of the square
 */
export function fitted({ width, height }, side) {
  const scale = side / Math.max(width, height);
  return { left: (side - width * scale) / 2, top: (side - height * scale) / 2, scale };
}

/**
 * @param {CanvasRenderingContext2D} context   scaled so that the pad is 280 wide and high
 * @param {readonly Mark[]} marks   from the lowest to the topmost
 */
export function paint(context, marks) {
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "black";
  context.imageSmoothingQuality = "high";
  for (const mark of marks) {
    if ("picture" in mark) {
      const { image, width, height } = mark.picture;
      const { left, top, scale } = fitted(mark.picture, SIDE);
      context.drawImage(image, left, top, width * scale, height * scale);
    } else {
      paintStroke(context, mark);
    }
  }
}
