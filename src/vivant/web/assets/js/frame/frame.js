// The picture frame: it shows a drop area, a picture or a clip, and the progress along its edges.
import { style } from "../shared/dom.js";

// root: the frame; art: the part inside it; below: the element under the frame.
export function createFrame(root, art, below) {
  let aspect = 16 / 9;
  let player = null;

  // state: "empty", "chosen", "running", "failed", "cancelled" or "done"; inside: null keeps the present content.
  function show(state, ratio, inside, controls = []) {
    aspect = ratio;
    player?.close();
    player = null;
    root.dataset.state = state;
    delete root.dataset.view;
    delete root.dataset.job;
    delete root.dataset.finished;
    style(root, { "--aspect": ratio, "--aspect-row": ratio * 2, "--aspect-column": ratio / 2 });
    root.toggleAttribute("data-tall", ratio < 0.9);
    if (inside) art.replaceChildren(...inside);
    below.replaceChildren(...controls);
  }

  // The player is closed when the frame shows something else.
  function showPlayer(next) {
    player = next;
    art.replaceChildren(player.inside);
    below.replaceChildren(player.controls);
  }

  // Gold runs along the four edges, clockwise from the upper left corner, at an even speed.
  function showProgress(fraction) {
    const shares = [aspect, 1, aspect, 1].map((side) => side / (2 * aspect + 2));
    let left = Math.min(1, Math.max(0, fraction));
    shares.forEach((share, edge) => {
      const part = Math.min(left, share);
      left -= part;
      style(root, { [`--e${edge + 1}`]: (part / share).toFixed(4) });
    });
  }

  // What was in work is over: its picture is not dimmed any more.
  function showOver() {
    root.dataset.finished = "";
  }

  return { show, showPlayer, showProgress, showOver, shows: (other) => player === other, root, art };
}
