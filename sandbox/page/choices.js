// What a select of people, roles or channels offers, in messages, forms and commands alike.

import { state } from "./state.js";

/** Component type → its choices: [{label, description, value}]. 5 people, 6 roles, 7 both, 8 channels. */
export function entityChoices(type, channelTypes = null) {
  if (type === 8) return channels(channelTypes);
  return [...(type === 6 ? [] : people()), ...(type === 5 ? [] : roles())];
}

const people = () => state.world.people.map((item) => ({ label: `@${item.name}`, description: item.about, value: item.id }));

const roles = () => (state.world.guild?.roles ?? []).map((item) => ({ label: `@${item.name}`, value: item.id }));

/** Channels of the server that one is in; text channels are of type 0. */
function channels(types) {
  const { guild } = state.world;
  return state.world.channels
    .filter((item) => item.kind !== "dm" && (item.guild_id ?? guild?.id) === guild?.id && (!types?.length || types.includes(item.type ?? 0)))
    .map((item) => ({ label: `#${item.name}`, value: item.id }));
}
