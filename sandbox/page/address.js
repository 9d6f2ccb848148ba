// The address bar: #person/channel, by name.

/** The token has done its work, a cookie carries it from here; it need not be seen on a shared screen. */
export function forgetToken() {
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
}

export const slug = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

export function readHash() {
  const [who, where] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { who, where };
}

export function writeHash(person, channel) {
  const wanted = `#${slug(person.name)}/${slug(channel.name)}`;
  if (location.hash !== wanted) history.replaceState(null, "", wanted);
}
