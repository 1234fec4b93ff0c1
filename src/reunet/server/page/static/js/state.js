/* What the parts of the page share, and how they hear of changes. */

export const state = {
  server: null, // what GET page/state told
  images: [], // the list on the left
  image: null, // the one that is looked at
  page: 0, // of a stack or video
  run: null, // the model that predicts
  prediction: null, // Layer
  truth: null, // Layer
  tab: "look",
  look: {
    opacity: 0.45,
    outlines: true,
    hidden: new Set(), // class indices
    threshold: null, // null: as calibrated
    show: "prediction", // prediction, truth, both, beside
    selected: null, // id of an object, or number of a box
  },
};

const listeners = new Map();

export function on(event, action) {
  listeners.set(event, [...(listeners.get(event) || []), action]);
}

export function tell(event, detail) {
  for (const action of listeners.get(event) || []) action(detail);
}

/** One sentence for everybody, also those who hear the page. error: it stays until the next one. */
export function say(text, error = false) {
  tell("said", { text, error });
}

export function failed(cause) {
  const told = cause.told || {};
  const parts = [told.title || cause.message, told.received && `(${told.received})`, told.fix && `→ ${told.fix}`];
  say(parts.filter(Boolean).join(" "), true);
}
