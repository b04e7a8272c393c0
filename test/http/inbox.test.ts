import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  await omega.business({ business_id: 2002 });
});
afterAll(() => omega.close());

let nextClient = 100;

/** A client who wrote these texts, and their conversation. */
async function conversationWith(...texts: string[]) {
  const clientId = nextClient++;
  const phone = `+1202555${String(1000 + clientId)}`;
  const made = await api.post(`/businesses/1001/clients/${clientId}/conversations`, {
    phone,
    location_id: 1,
  });
  const path = `/businesses/1001/clients/${clientId}/conversations/${made.body.conversation_id}`;
  const messageIds: string[] = [];
  for (const content of texts) {
    const answer = await api.post('/simulator/inbound', { from: phone, to: '+15005550006', content });
    messageIds.push(answer.body.message_id);
    await omega.tick(1_000);
  }
  const row = async () =>
    (await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(phone)}`)).body.data[0];
  return { clientId, phone, path, messageIds, row, conversationId: made.body.conversation_id };
}

async function eventsOf(type: string, conversationId: string) {
  const rows = await omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', type)
    .orderBy('sequence')
    .execute();
  return rows.filter((row) => row.data.conversation_id === conversationId);
}

describe('assignConversation: POST …/assign (Assign a client conversation to a staff member)', () => {
  it('assigns, tells the list, and says in an event who did it and what changed', async () => {
    const { path, row, conversationId } = await conversationWith('hi');
    const assigned = await api.post(`${path}/assign`, { staff_id: 12345 });
    expect(assigned.status).toBe(200);
    expect(assigned.body.assignee).toEqual({ staff_id: 12345, name: 'Mia Chen' });
    expect((await row()).assignee.staff_id).toBe(12345);
    const unassigned = await api.post(`${path}/assign`, { staff_id: null });
    expect(unassigned.body.assignee).toBeNull();
    const events = await eventsOf('conversation.assigned', conversationId);
    expect(events.map((event) => event.changed)).toEqual([
      { assignee_staff_id: { from: null, to: 12345 } },
      { assignee_staff_id: { from: 12345, to: null } },
    ]);
    expect(events[0]!.actor).toMatchObject({ type: 'key' });
    expect(events[0]!.origin).toMatchObject({ key_id: expect.any(String), request_id: expect.any(String) });
  });

  it('refuses a staff member of another location, and one that is not of the business', async () => {
    const { path } = await conversationWith('hi');
    const elsewhere = await api.post(`${path}/assign`, { staff_id: 12346 });
    expect(elsewhere.status).toBe(422);
    expect(elsewhere.body.errors[0]).toMatchObject({ path: 'staff_id', code: 'conflict' });
    expect((await api.post(`${path}/assign`, { staff_id: 999 })).status).toBe(404);
    expect((await api.post(`${path}/assign`, {})).body.errors[0]).toMatchObject({
      path: 'staff_id',
      code: 'required',
    });
  });

  it('`me` in the list is the staff member of the session', async () => {
    const { path, conversationId } = await conversationWith('hi');
    await api.post(`${path}/assign`, { staff_id: 12345 });
    const { body } = await api.post('/authentication/token', { staff_id: 12345 });
    const session = omega.as(null);
    const list = await session.get('/businesses/1001/conversations?assignee=me', {
      authorization: `Bearer ${body.token}`,
    });
    expect(list.body.data.map((one: { conversation_id: string }) => one.conversation_id)).toContain(
      conversationId,
    );
    expect((await api.get('/businesses/1001/conversations?assignee=me')).status).toBe(422);
  });
});

describe('setConversationStatus: POST …/status (Update client conversation status)', () => {
  it('and markMessagesRead by a session: each is an event of that staff member, with what changed', async () => {
    const { path, conversationId } = await conversationWith('hi');
    const { body } = await api.post('/authentication/token', { staff_id: 12345 });
    const as = { authorization: `Bearer ${body.token}` };
    const staff = omega.as(null);
    expect((await staff.post(`${path}/status`, { status: 'pending' }, as)).status).toBe(200);
    expect((await staff.post(`${path}/messages/read`, { read: true }, as)).status).toBe(200);
    const by = {
      actor: { type: 'staff', id: 12345 },
      origin: { session_id: body.session_id, request_id: expect.any(String) },
    };
    const [status] = await eventsOf('conversation.status_changed', conversationId);
    expect(status).toMatchObject({ ...by, changed: { status: { from: 'open', to: 'pending' } } });
    const [read] = await eventsOf('conversation.read', conversationId);
    expect(read).toMatchObject({ ...by, changed: { unread_count: { from: 1, to: 0 } } });
  });

  it('snoozes until a time and wakes by itself then', async () => {
    const { path, row, conversationId } = await conversationWith('hi');
    const until = new Date(omega.clock.now() + 3_600_000).toISOString();
    const snoozed = await api.post(`${path}/status`, { status: 'snoozed', snoozed_until: until });
    expect(snoozed.body).toMatchObject({ status: 'snoozed', snoozed_until: until });
    await omega.tick(3_500_000);
    expect((await row()).status).toBe('snoozed');
    await omega.tick(105_000);
    expect(await row()).toMatchObject({ status: 'open', snoozed_until: null });
    const events = await eventsOf('conversation.status_changed', conversationId);
    expect(events.at(-1)).toMatchObject({
      actor: { type: 'system' },
      changed: { status: { from: 'snoozed', to: 'open' } },
    });
  });

  it('a snooze that was moved wakes at the later time only', async () => {
    const { path, row } = await conversationWith('hi');
    const at = (ms: number) => new Date(omega.clock.now() + ms).toISOString();
    await api.post(`${path}/status`, { status: 'snoozed', snoozed_until: at(60_000) });
    await api.post(`${path}/status`, { status: 'snoozed', snoozed_until: at(600_000) });
    await omega.tick(120_000);
    expect((await row()).status).toBe('snoozed');
    await omega.tick(500_000);
    expect((await row()).status).toBe('open');
  });

  it('wakes at its time where the machine that set the job is ahead of the one that runs it', async () => {
    const { path, row, conversationId } = await conversationWith('hi');
    const at = (ms: number) => new Date(omega.clock.now() + ms);
    await api.post(`${path}/status`, { status: 'snoozed', snoozed_until: at(60_000) });
    await omega.omega.database.db
      .updateTable('conversations')
      .set({ snoozed_until: at(90_000) })
      .where('conversation_id', '=', conversationId)
      .execute();
    await omega.tick(61_000);
    expect((await row()).status).toBe('snoozed');
    await omega.tick(30_000);
    expect((await row()).status).toBe('open');
  });

  it('closing ends the waiting, and a text from the client opens it again', async () => {
    const { path, row, phone } = await conversationWith('are you there?');
    expect((await row()).waiting_since).not.toBeNull();
    await api.post(`${path}/status`, { status: 'closed' });
    expect(await row()).toMatchObject({ status: 'closed', waiting_since: null });
    await api.post('/simulator/inbound', { from: phone, to: '+15005550006', content: 'hello again' });
    expect(await row()).toMatchObject({ status: 'open', unread_count: 2 });
  });

  it('names what is wrong with a snooze', async () => {
    const { path } = await conversationWith('hi');
    const past = new Date(omega.clock.now() - 1000).toISOString();
    for (const body of [
      { status: 'snoozed' },
      { status: 'snoozed', snoozed_until: past },
      { status: 'open', snoozed_until: past },
    ]) {
      const answer = await api.post(`${path}/status`, body);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].path).toBe('snoozed_until');
    }
  });

  it('a closed one does not open beside another that is open', async () => {
    const { path, clientId } = await conversationWith('hi');
    await api.post(`${path}/status`, { status: 'closed' });
    expect((await api.post(`/businesses/1001/clients/${clientId}/conversations`)).status).toBe(201);
    const refused = await api.post(`${path}/status`, { status: 'open' });
    expect(refused.status).toBe(409);
    expect(refused.body.code).toBe('conflict');
  });
});

describe('markMessagesRead: POST …/messages/read (Update read status of messages using filters)', () => {
  it('marks all, or up to one, or some, and the counter follows', async () => {
    const { path, row, messageIds } = await conversationWith('one', 'two', 'three');
    expect((await row()).unread_count).toBe(3);
    const upTo = await api.post(`${path}/messages/read`, { read: true, up_to_message_id: messageIds[1] });
    expect(upTo.body).toEqual({ updated: 2, unread_count: 1 });
    const again = await api.post(`${path}/messages/read`, { read: true, up_to_message_id: messageIds[1] });
    expect(again.body).toEqual({ updated: 0, unread_count: 1 });
    const back = await api.post(`${path}/messages/read`, { read: false, message_ids: [messageIds[0]] });
    expect(back.body).toEqual({ updated: 1, unread_count: 2 });
    const unread = await api.get(`${path}/messages?unread=true&order=oldest`);
    expect(unread.body.data.map((one: { content: string }) => one.content)).toEqual(['one', 'three']);
    expect((await api.post(`${path}/messages/read`, { read: true })).body).toEqual({
      updated: 2,
      unread_count: 0,
    });
    expect((await row()).unread_count).toBe(0);
  });

  it('channel, direction and before narrow together; nothing becomes unread without a filter', async () => {
    const { path } = await conversationWith('one', 'two');
    expect((await api.post(`${path}/messages/read`, { read: true, channel: 'email' })).body.updated).toBe(0);
    expect(
      (await api.post(`${path}/messages/read`, { read: true, direction: 'outbound' })).body.updated,
    ).toBe(0);
    const before = new Date(omega.clock.now() - 1_500).toISOString();
    expect((await api.post(`${path}/messages/read`, { read: true, before })).body).toEqual({
      updated: 1,
      unread_count: 1,
    });
    expect((await api.post(`${path}/messages/read`, { read: false })).status).toBe(422);
    expect((await api.post(`${path}/messages/read`, { read: false, direction: 'inbound' })).body).toEqual({
      updated: 1,
      unread_count: 2,
    });
  });

  it("another conversation's message names nothing here", async () => {
    const one = await conversationWith('mine');
    const other = await conversationWith('theirs');
    expect(
      (await api.post(`${one.path}/messages/read`, { read: true, message_ids: other.messageIds })).body
        .updated,
    ).toBe(0);
    expect(
      (await api.post(`${one.path}/messages/read`, { read: true, up_to_message_id: other.messageIds[0] }))
        .status,
    ).toBe(404);
    expect((await other.row()).unread_count).toBe(1);
  });
});

describe('getConversationFilters: GET …/conversations/filters (Get available conversation filters)', () => {
  it('each option counts what its filter shows', async () => {
    const { body } = await api.get('/businesses/1001/conversations/filters');
    const names = body.filters.map((filter: { name: string }) => filter.name);
    expect(names).toEqual(['status', 'assignee', 'channel', 'location_id', 'unread', 'waiting']);
    for (const { name, options } of body.filters) {
      for (const { value, count } of options) {
        const list = await api.get(`/businesses/1001/conversations?limit=100&${name}=${value}`);
        expect(`${name}=${value}: ${list.body.data.length}`).toBe(`${name}=${value}: ${count}`);
      }
    }
  });

  it('counts stop at 99+', async () => {
    const { db } = omega.omega.database;
    const now = new Date(omega.clock.now());
    const rows = Array.from({ length: 120 }, (_, i) => i + 1);
    await db
      .insertInto('clients')
      .values(rows.map((i) => ({ business_id: 2002, client_id: i, created_at: now, updated_at: now })))
      .execute();
    for (const client_id of rows) {
      await omega.platform.post(`/businesses/2002/clients/${client_id}/conversations`);
    }
    const { body } = await omega.platform.get('/businesses/2002/conversations/filters');
    const [status] = body.filters;
    expect(status.options[0]).toEqual({ value: 'open', label: 'Open', count: '99+' });
  });
});

describe('listLocations', () => {
  it('lists locations with their time zone and senders, page by page', async () => {
    const first = await api.get('/businesses/1001/locations?limit=1');
    expect(first.body).toMatchObject({
      data: [
        {
          location_id: 1,
          name: 'Downtown',
          time_zone: 'America/New_York',
          senders: [{ channel: 'sms', address: '+15005550006' }],
        },
      ],
      has_more: true,
    });
    const second = await api.get(`/businesses/1001/locations?limit=1&cursor=${first.body.next_cursor}`);
    expect(second.body).toMatchObject({
      data: [{ location_id: 2, senders: [] }],
      has_more: false,
      next_cursor: null,
    });
  });
});

describe('listStaffs', () => {
  it('lists staff by name, found by part of name, phone or mail', async () => {
    const all = await api.get('/businesses/1001/staffs');
    expect(all.body.data.map((one: { name: string }) => one.name)).toEqual(['Mia Chen', 'Noah Diaz']);
    expect((await api.get('/businesses/1001/staffs?q=NOAH')).body.data).toHaveLength(1);
    expect((await api.get('/businesses/1001/staffs?q=mia@lotus')).body.data).toHaveLength(1);
    expect((await api.get('/businesses/1001/staffs?q=%25')).body.data).toHaveLength(0);
    expect((await api.get('/businesses/1001/staffs?q=n%C3%B6ah')).body.data).toHaveLength(1);
    expect((await api.get('/businesses/1001/staffs?location_id=2')).body.data).toHaveLength(1);
    const first = await api.get('/businesses/1001/staffs?limit=1');
    const second = await api.get(`/businesses/1001/staffs?limit=1&cursor=${first.body.next_cursor}`);
    expect([first.body.has_more, second.body.has_more, second.body.data[0].name]).toEqual([
      true,
      false,
      'Noah Diaz',
    ]);
  });
});

describe('getStaff', () => {
  it('counts the conversations that are theirs, and tells when they were last here', async () => {
    const { path } = await conversationWith('for Mia');
    await api.post(`${path}/assign`, { staff_id: 12345 });
    const { body } = await api.post('/authentication/token', { staff_id: 12345 });
    await omega.as(null).get('/businesses/1001/staffs', { authorization: `Bearer ${body.token}` });
    const profile = await api.get('/businesses/1001/staffs/12345');
    expect(profile.body).toMatchObject({
      staff_id: 12345,
      role: 'manager',
      locations: [{ location_id: 1, name: 'Downtown' }],
      last_seen_at: expect.any(String),
    });
    expect(Number(profile.body.conversations.open)).toBeGreaterThanOrEqual(1);
    expect((await api.get('/businesses/1001/staffs/1')).status).toBe(404);
  });
});
