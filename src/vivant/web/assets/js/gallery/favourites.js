// The clips that the user marked. Only this browser knows them.
import { loadJson, save } from "../shared/storage.js";

const marked = new Set(loadJson("favourites") ?? []);

export const isFavourite = (id) => marked.has(id);

export function toggleFavourite(id) {
  if (!marked.delete(id)) marked.add(id);
  save("favourites", JSON.stringify([...marked]));
}
