import { XMLParser, XMLValidator } from 'fast-xml-parser';

/** An element of TwiML, as an independent parser reads it. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

/** What an attribute may be. */
type Rule = RegExp;
const url = /^https:\/\/[^\s<>"]+$/;
const yes = /^(true|false)$/;
const seconds = /^[0-9]+$/;
const phone = /^\+[1-9][0-9]{1,14}$/;
const callEvents = /^(initiated|ringing|answered|completed)( (initiated|ringing|answered|completed))*$/;
const recordingEvents = /^(in-progress|completed|absent)( (in-progress|completed|absent))*$/;

interface ElementRule {
  children: readonly string[];
  attributes: Record<string, Rule>;
  /** What its text must be; none where left out. */
  text?: Rule;
}

/**
 * Twilio's rules for the elements that a voice answer of ours may hold, by its pages
 * https://www.twilio.com/docs/voice/twiml/{say,dial,client,number,record,hangup,reject}.
 */
const rules: Record<string, ElementRule> = {
  Response: { children: ['Say', 'Dial', 'Record', 'Hangup', 'Reject'], attributes: {} },
  Say: { children: [], attributes: { language: /^[a-z]{2,3}(-[A-Za-z0-9]+)*$/ }, text: /^[\s\S]{1,4096}$/ },
  Dial: {
    children: ['Client', 'Number'],
    attributes: {
      action: url,
      timeout: /^([5-9]|[1-9][0-9]|[1-5][0-9]{2}|600)$/,
      timeLimit: seconds,
      answerOnBridge: yes,
      callerId: phone,
      record:
        /^(do-not-record|record-from-answer|record-from-ringing|record-from-answer-dual|record-from-ringing-dual)$/,
      recordingStatusCallback: url,
      recordingStatusCallbackEvent: recordingEvents,
    },
  },
  Client: {
    children: ['Identity', 'Parameter'],
    attributes: { statusCallback: url, statusCallbackEvent: callEvents },
  },
  Identity: { children: [], attributes: {}, text: /^[A-Za-z0-9_]{1,256}$/ },
  Parameter: { children: [], attributes: { name: /^\w+$/, value: /^.+$/ } },
  Number: {
    children: [],
    attributes: { statusCallback: url, statusCallbackEvent: callEvents, url },
    text: phone,
  },
  Record: {
    children: [],
    attributes: {
      action: url,
      maxLength: seconds,
      timeout: seconds,
      playBeep: yes,
      recordingStatusCallback: url,
      recordingStatusCallbackEvent: recordingEvents,
    },
  },
  Hangup: { children: [], attributes: {} },
  Reject: { children: [], attributes: { reason: /^(rejected|busy)$/ } },
};

/** Reads TwiML: it must be well-formed XML, and each element as Twilio allows it. @throws where it is not */
export function readTwiml(xml: string): Element {
  const wellFormed = XMLValidator.validate(xml);
  if (wellFormed !== true) throw new Error(`not well-formed: ${JSON.stringify(wellFormed.err)} in ${xml}`);
  const parser = new XMLParser({ preserveOrder: true, ignoreAttributes: false, parseTagValue: false });
  const nodes = (parser.parse(xml) as Node[]).filter((node) => !('?xml' in node)).map(elementOf);
  if (nodes.length !== 1 || nodes[0]!.name !== 'Response') throw new Error(`no <Response>: ${xml}`);
  check(nodes[0]!);
  return nodes[0]!;
}

/** All elements of a name, in their order. */
export function all(element: Element, name: string): Element[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...all(child, name)]);
}

/** The names of what the answer does, in their order. */
export const verbs = (response: Element): string[] => response.children.map((child) => child.name);

type Node = Record<string, unknown>;

function elementOf(node: Node): Element {
  const name = Object.keys(node).find((key) => key !== ':@')!;
  const inner = node[name] as Node[];
  const attributes = Object.entries((node[':@'] ?? {}) as Record<string, unknown>);
  return {
    name,
    attributes: Object.fromEntries(attributes.map(([key, value]) => [key.replace('@_', ''), String(value)])),
    children: inner.filter((one) => !('#text' in one)).map(elementOf),
    text: inner.map((one) => one['#text'] ?? '').join(''),
  };
}

function check(element: Element): void {
  const rule = rules[element.name];
  if (!rule) throw new Error(`<${element.name}> is not for a voice answer`);
  for (const [name, value] of Object.entries(element.attributes)) {
    if (!rule.attributes[name]?.test(value)) throw new Error(`<${element.name} ${name}="${value}">`);
  }
  if (!(rule.text ?? /^\s*$/).test(element.text)) throw new Error(`<${element.name}>${element.text}`);
  for (const child of element.children) {
    if (!rule.children.includes(child.name)) throw new Error(`<${child.name}> in <${element.name}>`);
    check(child);
  }
}
