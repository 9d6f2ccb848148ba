// The address bar: #person/channel, by name.

export const slug = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

export function readHash() {
  const [who, where] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { who, where };
}

export function writeHash(person, channel) {
  const wanted = `#${slug(person.name)}/${slug(channel.name)}`;
  if (location.hash !== wanted) history.replaceState(null, "", wanted);
}
