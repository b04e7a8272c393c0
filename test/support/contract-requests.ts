import { contract, type Operation, type OperationId } from '../../contract/index.ts';

/** Every row of the contract, with its name. */
export const operations = Object.entries(contract) as [OperationId, Operation][];

/** The rows that are for callers: what carriers post has signatures, and tests of its own. */
export const callable = operations.filter(([, row]) => !row.webhook);

/** The rows that a caller needs credentials for. */
export const guarded = operations.filter(([, row]) => row.auth !== 'public');

/** The things of one business, by the names that requests use for them. */
export interface Things {
  business_id: number;
  client_id: number;
  /** To be merged into the other. */
  other_client_id: number;
  staff_id: number;
  location_id: number;
  conversation_id: string;
  message_id: string;
  /** The conversation's last message, notes left out. */
  last_message_id: string;
  provider_message_id: string;
  attachment_id: string;
  /** To that file. */
  link: string;
  import_id: string;
  session_id: string;
  sender_id: string;
  /** What a carrier posted: nobody's but the platform's. */
  receipt_id: string;
  webhook_id: string;
  delivery_id: string;
  token: string;
  /** The client's phone, and the business's own number. */
  phone: string;
  sender: string;
}

/** Which thing a field of a request names. */
const thingOfField: Record<string, keyof Things> = {
  business_id: 'business_id',
  client_id: 'client_id',
  merge_client_id: 'other_client_id',
  merged_client_id: 'other_client_id',
  to_client_id: 'other_client_id',
  staff_id: 'staff_id',
  sent_by: 'staff_id',
  assignee: 'staff_id',
  location_id: 'location_id',
  location_ids: 'location_id',
  conversation_id: 'conversation_id',
  message_id: 'message_id',
  expected_last_message_id: 'last_message_id',
  provider_message_id: 'provider_message_id',
  attachment_id: 'attachment_id',
  link: 'link',
  import_id: 'import_id',
  session_id: 'session_id',
  sender_id: 'sender_id',
  receipt_id: 'receipt_id',
  webhook_id: 'webhook_id',
  delivery_id: 'delivery_id',
  token: 'token',
};

/** The same for a field that says more: `message_ids`, `up_to_message_id`, `merge_client_id`. */
function thingNamedBy(name: string): keyof Things | undefined {
  if (namesNothing.has(name)) return undefined;
  const one = name.replace(/_ids$/, '_id');
  return (
    thingOfField[name] ??
    thingOfField[one] ??
    Object.entries(thingOfField).find(([field]) => one.endsWith(`_${field}`))?.[1]
  );
}

/** Fields that end like an id and name nothing that a business has. */
const namesNothing = new Set(['request_id', 'item_id']);

/** The addresses of the contract's examples. */
const thingOfExample: Record<string, keyof Things> = { '+12025550123': 'phone', '+15005550006': 'sender' };

export interface ContractRequest {
  params: Record<string, unknown>;
  query: Record<string, unknown>;
  body: Record<string, unknown> | undefined;
}

export const parts = ['params', 'query', 'body'] as const;

export function propertiesOf(row: Operation, part: (typeof parts)[number]): string[] {
  return Object.keys(row.input[part]?.properties ?? {});
}

/** Fields of the contract that look like an id and that {@link thingOfField} does not know. */
export function unknownIdFields(): string[] {
  return operations.flatMap(([id, row]) =>
    parts
      .flatMap((part) => propertiesOf(row, part))
      .filter((name) => /_ids?$/.test(name) && thingNamedBy(name) === undefined && !namesNothing.has(name))
      .map((name) => `${id}: ${name}`),
  );
}

/** The row's example, about these things. Without its `request_id`: each request is a new one. */
export function exampleRequest(row: Operation, things: Things): ContractRequest {
  const { params = {}, query = {}, body } = row.example ?? {};
  const { request_id: _, ...fields } = (body ?? {}) as Record<string, unknown>;
  return withThings({ params, query, body: body && !row.bodyStream ? fields : undefined }, things);
}

function withThings(request: ContractRequest, things: Things): ContractRequest {
  return {
    params: fill(request.params, things),
    query: fill(request.query, things),
    body: request.body && fill(request.body, things),
  };
}

function fill(fields: Record<string, unknown>, things: Things): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const thing = thingNamedBy(name) ?? thingOfExample[String(value)];
      if (thing === undefined) return [name, value];
      return [name, Array.isArray(value) ? [things[thing]] : things[thing]];
    }),
  );
}

/** A place in a request that names a thing, and a request that names it there. */
export interface Slot {
  /** `params.client_id`, `body.message_ids`, `body.messages.0.client_id`. */
  place: string;
  base: ContractRequest;
  /** The same request, naming another business's thing in that place alone. */
  naming(things: Things): ContractRequest;
}

/**
 * Every place of the operation that can name a thing: those of its example, and the optional fields
 * that the example leaves out.
 */
export function slotsOf(row: Operation, own: Things): Slot[] {
  const example = exampleRequest(row, own);
  const list = row.itemsOwn;
  if (list === undefined) return slotsOfFields(row, example, own);
  // Its items stand in a list, or one of them is the body itself; each way has its places.
  const { [list]: items, ...rest } = example.body!;
  const item = fill((items as Record<string, unknown>[])[0]!, own);
  const alone = slotsOfFields(row, { ...example, body: { ...rest, ...item } }, own);
  const inList = alone
    .filter(({ place }) => place.startsWith('body.') && place !== 'body.business_id')
    .map(({ place, base, naming }): Slot => {
      const asItem = (request: ContractRequest): ContractRequest => {
        const { business_id, ...fields } = request.body!;
        return { ...request, body: { business_id, [list]: [fields] } };
      };
      return {
        place: place.replace('body.', `body.${list}.0.`),
        base: asItem(base),
        naming: (things) => asItem(naming(things)),
      };
    });
  return [...alone, ...inList];
}

function slotsOfFields(row: Operation, example: ContractRequest, own: Things): Slot[] {
  return parts.flatMap((part) =>
    propertiesOf(row, part).flatMap((name): Slot[] => {
      const given = example[part]?.[name];
      const thing = thingNamedBy(name) ?? exampleThing(row, part, name);
      if (thing === undefined) return [];
      const isList = name.endsWith('_ids');
      const put = (things: Things): ContractRequest => {
        const value = part === 'body' || part === 'params' ? things[thing] : String(things[thing]);
        // A carrier's id says nothing without its carrier.
        const provider = name === 'provider_message_id' &&
          propertiesOf(row, part).includes('provider') && { provider: 'twilio' };
        return { ...example, [part]: { ...provider, ...example[part], [name]: isList ? [value] : value } };
      };
      return [{ place: `${part}.${name}`, base: given === undefined ? put(own) : example, naming: put }];
    }),
  );
}

function exampleThing(row: Operation, part: (typeof parts)[number], name: string): keyof Things | undefined {
  const value = (row.example?.[part] as Record<string, unknown> | undefined)?.[name];
  return thingOfExample[String(value)];
}

/** The path below the base path with its query, and the body with its kind, as they go over the wire. */
export function wire(
  row: Operation,
  request: ContractRequest,
): { path: string; body: unknown; headers: Record<string, string> } {
  const path = row.path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    encodeURIComponent(String(request.params[name])),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query)) query.append(name, String(value));
  const text = query.toString();
  return {
    path: text ? `${path}?${text}` : path,
    // A stream is what its example shows: it names nothing that the schemas know.
    body: row.method === 'GET' ? undefined : row.bodyStream ? row.example?.body : (request.body ?? {}),
    headers: row.bodyStream ? { 'content-type': row.bodyStream[0]! } : {},
  };
}
