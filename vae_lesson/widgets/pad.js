// A square picture with a point on it: moved by mouse, finger or arrow keys.
// The point is [z1, z2] in [-reach, reach]; z1 grows to the right, z2 upwards.

const PAD = "position: relative; width: 100%; max-width: 400px; aspect-ratio: 1; background-size: 100% 100%;" +
  "background-color: #888; cursor: crosshair; touch-action: none; user-select: none;";
const MARK = "position: absolute; width: 18px; height: 18px; margin: -9px 0 0 -9px; border-radius: 50%;" +
  "box-sizing: border-box; border: 3px solid #fff; outline: 2px solid #c4161c; pointer-events: none;";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

function render({ model, el }) {
  const pad = document.createElement("div"), mark = document.createElement("div");
  pad.style.cssText = PAD;
  mark.style.cssText = MARK;
  pad.className = "vae-lesson-pad";
  pad.tabIndex = 0;
  pad.setAttribute("role", "application"); // so that a screen reader hands us the arrow keys
  pad.setAttribute("aria-label", model.get("label"));
  pad.dataset.lmSuppressShortcuts = "true"; // in JupyterLab the arrow keys would leave the cell
  pad.append(mark);
  el.append(pad);

  const moveTo = (z1, z2) => {
    const reach = model.get("reach");
    const inside = (z) => Math.min(reach, Math.max(-reach, z));
    model.set("point", [inside(z1), inside(z2)]);
    model.save_changes(); // while the kernel works, later points replace the waiting one: no queue
  };
  const follow = (event) => {
    const box = pad.getBoundingClientRect(), reach = model.get("reach");
    moveTo((2 * (event.clientX - box.left) / box.width - 1) * reach,
      (1 - 2 * (event.clientY - box.top) / box.height) * reach);
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    follow(event);
  });
  pad.addEventListener("pointermove", (event) => pad.hasPointerCapture(event.pointerId) && follow(event));
  pad.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key], [z1, z2] = model.get("point");
    if (!arrow && event.key !== "Home") return;
    event.preventDefault();
    event.stopPropagation();
    const step = model.get("reach") / (event.shiftKey ? 12 : 60);
    if (arrow) moveTo(z1 + step * arrow[0], z2 + step * arrow[1]);
    else moveTo(0, 0);
  });

  const showPoint = () => {
    const [z1, z2] = model.get("point"), reach = model.get("reach");
    mark.style.left = `${50 + 50 * z1 / reach}%`;
    mark.style.top = `${50 - 50 * z2 / reach}%`;
  };
  const showPicture = () => { pad.style.backgroundImage = `url(${model.get("picture")})`; };
  model.on("change:point", showPoint);
  model.on("change:picture", showPicture);
  showPoint();
  showPicture();
}

export default { render };
