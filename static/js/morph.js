// Makes a tree look like another one while keeping its nodes, so that focus, hover, selection and scroll survive.
const BLANK = "#blank";

/**
 * An element with a method `adopt(next)` takes over what it needs itself, because it writes its own content.
 * @param {Element} current stays in the page
 * @param {Element} next is taken apart
 */
export function morph(current, next) {
  syncAttributes(current, next);
  if (typeof current.adopt === "function") {
    current.adopt(next);
  } else {
    morphChildren(current, next);
  }
}

/**
 * @param {Element} parent
 * @param {Element} next
 */
export function morphChildren(parent, next) {
  const wantedNodes = [...next.childNodes];
  const lastOfKind = new Map(wantedNodes.map((node, index) => [kindOf(node), index]));
  const isWantedLater = (node, index) => kindOf(node) !== BLANK && (lastOfKind.get(kindOf(node)) ?? -1) > index;
  const keyed = new Map([...parent.children].map((child) => [keyOf(child), child]));
  let cursor = parent.firstChild;
  for (const [index, wanted] of wantedNodes.entries()) {
    const key = keyOf(wanted);
    const known = key ? keyed.get(key) : null;
    // What is gone is removed before the rest would have to move around it: a moved element loses its focus.
    while (cursor && cursor !== known && !isSameKind(cursor, wanted, key) && !isWantedLater(cursor, index)) {
      cursor = removeAndGoOn(cursor);
    }
    const match = key ? known : cursor;
    if (match && isSameKind(match, wanted, key)) {
      if (match === cursor) {
        cursor = cursor.nextSibling;
      } else {
        parent.insertBefore(match, cursor);
      }
      update(match, wanted);
    } else {
      parent.insertBefore(document.importNode(wanted, true), cursor);
    }
  }
  while (cursor) {
    cursor = removeAndGoOn(cursor);
  }
}

function update(current, wanted) {
  if (current.nodeType === Node.ELEMENT_NODE) {
    morph(current, wanted);
  } else if (current.nodeValue !== wanted.nodeValue) {
    current.nodeValue = wanted.nodeValue;
  }
}

function isSameKind(current, wanted, key) {
  return current.nodeName === wanted.nodeName && keyOf(current) === key;
}

/** Keyed nodes are wanted themselves, others only for what they are; white space between is wanted by nobody. */
function kindOf(node) {
  const isBlank = node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();
  return isBlank ? BLANK : (keyOf(node) ?? node.nodeName);
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function removeAndGoOn(node) {
  const following = node.nextSibling;
  node.remove();
  return following;
}

function syncAttributes(current, next) {
  for (const { name, value } of next.attributes) {
    if (current.getAttribute(name) !== value) {
      current.setAttribute(name, value);
    }
  }
  for (const { name } of [...current.attributes]) {
    if (!next.hasAttribute(name) && !isOpenedByReader(current, name)) {
      current.removeAttribute(name);
    }
  }
}

function isOpenedByReader(element, attribute) {
  return attribute === "open" && (element instanceof HTMLDialogElement || element instanceof HTMLDetailsElement);
}
