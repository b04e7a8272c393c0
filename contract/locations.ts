import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, LocationId, Page, pageQuery } from './shapes.ts';

export const listLocations = operation({
  id: 'listLocations',
  method: 'GET',
  path: '/businesses/{business_id}/locations',
  tag: 'businesses',
  summary: 'Get list of business locations',
  description: 'In the order of their ids.',
  auth: 'read',
  bucket: 'read',
  input: { params: Type.Object({ business_id: BusinessId }), query: Exactly(pageQuery) },
  output: {
    200: Page(
      Type.Object({
        location_id: LocationId,
        name: Type.String(),
        time_zone: Type.String({ description: "An IANA name: its own, else the business's." }),
        senders: Type.Array(Type.Object({ channel: Type.String(), address: Type.String() }), {
          description: 'What it sends from.',
        }),
      }),
    ),
  },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    status: 200,
    answer: {
      data: [
        {
          location_id: 1,
          name: 'Downtown',
          time_zone: 'America/New_York',
          senders: [{ channel: 'sms', address: '+15005550006' }],
        },
      ],
      next_cursor: null,
      has_more: false,
    },
  },
});
