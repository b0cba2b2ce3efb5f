// Who is signed in, and what that role may do. The server refuses what it may not in any case; this is about what is offered.

const RANKS = ["viewer", "operator", "administrator"];

const NEEDS = {
  clear: "operator",
  interval: "operator",
  purge: "operator",
  empty: "administrator",
  edit: "administrator",
  audit: "administrator",
  reload: "administrator",
};

/** `{ name, role, csrf }`, or `null` when nobody is. */
export let session = null;

export function signedIn(who) {
  session = who;
}

/** Whether who is signed in may do `what`, a name of the table above. */
export function may(what) {
  return session !== null && RANKS.indexOf(session.role) >= RANKS.indexOf(NEEDS[what]);
}
