import { Type } from 'typebox';
import { operation } from './operation.ts';
import {
  BusinessId,
  Exactly,
  LocationId,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  StaffId,
  Time,
} from './shapes.ts';

const StaffRow = {
  staff_id: StaffId,
  business_id: BusinessId,
  name: Type.String(),
  email: Nullable(Type.String()),
  phone: Nullable(Type.String({ description: 'E.164.' })),
  role: OneOf(['manager', 'staff']),
  active: Type.Boolean(),
  location_ids: Type.Array(LocationId, { description: 'Where they work; everywhere when empty.' }),
  last_seen_at: Nullable(Time('When a session of theirs was last used, to the minute.')),
};

const exampleStaff = {
  staff_id: 12345,
  business_id: 1001,
  name: 'Mia Chen',
  email: 'mia@lotus.example',
  phone: null,
  role: 'manager',
  active: true,
  location_ids: [1],
  last_seen_at: '2026-11-21T18:05:00.000Z',
};

export const listStaffs = operation({
  id: 'listStaffs',
  method: 'GET',
  path: '/businesses/{business_id}/staffs',
  tag: 'business-staffs',
  summary: 'Get paginated list of staff members for a business',
  description: 'By name. `q` is part of the name, or of the phone or mail address.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: Type.Object({ business_id: BusinessId }),
    query: Exactly({
      ...pageQuery,
      q: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      role: Type.Optional(OneOf(['manager', 'staff'])),
      location_id: Type.Optional(LocationId),
      active: Type.Optional(Type.Boolean()),
    }),
  },
  output: { 200: Page(Type.Object(StaffRow)) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    query: { q: 'mia' },
    status: 200,
    answer: { data: [exampleStaff], next_cursor: null, has_more: false },
  },
});

export const getStaff = operation({
  id: 'getStaff',
  method: 'GET',
  path: '/businesses/{business_id}/staffs/{staff_id}',
  tag: 'business-staffs',
  summary: 'Get detailed profile of a specific staff member',
  description: 'With the conversations that are theirs now, counted to 99.',
  auth: 'read',
  bucket: 'read',
  input: { params: Type.Object({ business_id: BusinessId, staff_id: StaffId }) },
  output: {
    200: Type.Object({
      ...StaffRow,
      locations: Type.Array(Type.Object({ location_id: LocationId, name: Type.String() })),
      conversations: Type.Object({
        open: Type.String({ description: 'Assigned to them and not closed: `0` to `99`, or `99+`.' }),
        unread: Type.String({ description: 'Of those, with unread messages.' }),
        waiting: Type.String({ description: 'Of those, where the client waits.' }),
      }),
      created_at: Time('When they were brought in.'),
      updated_at: Time('When their profile last changed.'),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, staff_id: 12345 },
    status: 200,
    answer: {
      ...exampleStaff,
      locations: [{ location_id: 1, name: 'Downtown' }],
      conversations: { open: '12', unread: '3', waiting: '2' },
      created_at: '2026-11-01T09:00:00.000Z',
      updated_at: '2026-11-01T09:00:00.000Z',
    },
  },
});
