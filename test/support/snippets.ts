/** A fenced block of a document. */
export interface Snippet {
  /** `sh`, `ts` or `json`; empty where none is told. */
  language: string;
  /** The rest of the fence's first line: `setup`, `202`. */
  info: string;
  line: number;
  code: string;
}

/** Every fenced block of a Markdown document, in its order. */
export function snippetsOf(markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(\w*) ?(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    info: match[2]!,
    line: markdown.slice(0, match.index).split('\n').length,
    code: match[3]!,
  }));
}

/** What differs from an expectation in which `…` stands for anything, and fields may be left out; null where nothing. */
export function differenceFrom(expected: unknown, actual: unknown, path = ''): string | null {
  if (expected === '…') return actual === undefined ? `${path} is missing` : null;
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length)
      return `${path} is ${JSON.stringify(actual)}, told are ${expected.length} items`;
    return firstOf(expected.map((item, i) => differenceFrom(item, actual[i], `${path}.${i}`)));
  }
  if (expected && typeof expected === 'object') {
    if (!actual || typeof actual !== 'object') return `${path} is ${JSON.stringify(actual)}`;
    return firstOf(
      Object.entries(expected).map(([name, value]) =>
        differenceFrom(value, (actual as Record<string, unknown>)[name], `${path}.${name}`),
      ),
    );
  }
  return expected === actual
    ? null
    : `${path} is ${JSON.stringify(actual)}, told is ${JSON.stringify(expected)}`;
}

const firstOf = (found: (string | null)[]) => found.find((one) => one !== null) ?? null;

/** What a program's `console.log(…); // …` say that it prints: a line each, as often as a loop likes, in this order. */
export function printedBy(code: string): RegExp {
  const logs = code.split('\n').filter((line) => line.includes('console.log('));
  const lines = logs.map((line) => {
    const told = / \/\/ (.+)$/.exec(line)?.[1];
    if (told === undefined) throw new Error(`What does it print? ${line}`);
    return `(?:${escaped(told).replaceAll('…', '.*')}\n)+`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
