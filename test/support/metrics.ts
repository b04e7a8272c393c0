import { expect } from 'vitest';
import type { Answer } from './omega.ts';

/** A text of metrics, as somebody who is not prom-client reads it. */
export interface ReadMetrics {
  text: string;
  /** The type of each family. */
  families: Map<string, string>;
  /** The names of all labels. */
  labels: Set<string>;
  /** The sum of all values of a name that have these labels; undefined where none has. */
  sumOf(name: string, labels?: Record<string, string>): number | undefined;
}

/** Reads Prometheus' text format (0.0.4); fails the test where the text is none. */
export function readMetrics(answer: Answer<string>): ReadMetrics {
  expect(answer.status, answer.body).toBe(200);
  const families = new Map<string, string>();
  const names = new Set<string>();
  const samples: { name: string; labels: Record<string, string>; value: number }[] = [];
  const seen = new Set<string>();
  for (const line of answer.body.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\w+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type) {
      expect(families.has(type[1]!), `${type[1]} has one TYPE`).toBe(false);
      families.set(type[1]!, type[2]!);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.e+-]+|NaN|[+-]?Inf)$/i.exec(line);
    expect(sample, `a sample: ${line}`).not.toBeNull();
    const [, name, inBraces = '', value] = sample!;
    const labels: Record<string, string> = {};
    for (const [, label, text] of inBraces.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g)) {
      labels[label!] = text!;
      names.add(label!);
    }
    const series = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
    expect(seen.has(series), `${series} is there once`).toBe(false);
    seen.add(series);
    samples.push({ name: name!, labels, value: Number(value) });
  }
  return {
    text: answer.body,
    families,
    labels: names,
    sumOf(name, labels = {}) {
      const found = samples.filter(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
      );
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}
