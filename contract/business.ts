import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, LocationId, OneOf, RequestId, StaffId } from './shapes.ts';

const Secret = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

/** A carrier account's secrets: encrypted at rest, never given back. */
export const Providers = Exactly({
  twilio: Type.Optional(
    Exactly({
      account_sid: Type.String({ pattern: '^AC[0-9a-zA-Z]{2,64}$' }),
      auth_token: Secret('Checks the signature of callbacks.'),
      auth_token_secondary: Type.Optional(Secret('While the token is being rotated.')),
      api_key_sid: Type.Optional(Type.String({ pattern: '^SK[0-9a-zA-Z]{2,64}$' })),
      api_key_secret: Type.Optional(Secret('Sends, and signs voice tokens.')),
      twiml_app_sid: Type.Optional(Type.String({ pattern: '^AP[0-9a-zA-Z]{2,64}$' })),
      messaging_service_sid: Type.Optional(Type.String({ pattern: '^MG[0-9a-zA-Z]{2,64}$' })),
      api_base_url: Type.Optional(
        Type.String({ format: 'uri', maxLength: 2048, description: 'A mock in place of Twilio.' }),
      ),
    }),
  ),
  smtp: Type.Optional(
    Exactly({
      url: Type.String({
        pattern: '^smtps?://\\S+$',
        maxLength: 2048,
        description:
          '`smtps://user:password@host:465`, or `smtp://…:587` with STARTTLS; `?tls=unverified` takes any certificate, `?tls=off` none. Of whichever provider sends.',
      }),
      bounce_domain: Type.Optional(
        Type.String({
          minLength: 3,
          maxLength: 189,
          description:
            'Bounces go to an address of the conversation at this domain, which must reach this Omega; to the sender when left out.',
        }),
      ),
      headers: Type.Optional(
        Type.Record(
          Type.String({ pattern: '^[Xx]-[A-Za-z0-9-]{1,74}$' }),
          Type.String({ pattern: '^[\\x20-\\x7e]{1,500}$' }),
          {
            maxProperties: 10,
            description:
              'What your provider wants with each mail: `{"X-PM-Message-Stream": "broadcast"}`, `{"X-SES-CONFIGURATION-SET": "omega"}`.',
          },
        ),
      ),
    }),
  ),
  sendgrid: Type.Optional(
    Exactly({
      api_key: Type.Optional(Secret('Sends mail.')),
      webhook_public_key: Type.Optional(Secret('Checks events.')),
      api_base_url: Type.Optional(
        Type.String({
          format: 'uri',
          maxLength: 2048,
          description: '`https://api.eu.sendgrid.com` for EU data residency, or a mock.',
        }),
      ),
    }),
  ),
  mailgun: Type.Optional(Exactly({ signing_key: Secret('Checks events.') })),
  postmark: Type.Optional(
    Exactly({ username: Secret('Of the webhook.'), password: Secret('Of the webhook.') }),
  ),
  ses: Type.Optional(
    Exactly({
      topic_arns: Type.Array(Type.String({ pattern: '^arn:\\S+$', maxLength: 256 }), {
        minItems: 1,
        maxItems: 20,
      }),
    }),
  ),
  resend: Type.Optional(
    Exactly({
      signing_secret: Secret('`whsec_…`'),
      api_key: Type.Optional(Secret('Fetches inbound mail, whose webhook has no text.')),
      api_base_url: Type.Optional(
        Type.String({ format: 'uri', maxLength: 2048, description: 'A mock in place of Resend.' }),
      ),
    }),
  ),
});

export const Location = Exactly({
  location_id: LocationId,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  time_zone: Type.Optional(
    Type.String({ maxLength: 64, description: "An IANA name; the business's unless told." }),
  ),
});

export const Staff = Exactly({
  staff_id: StaffId,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  email: Type.Optional(Type.String({ maxLength: 320 })),
  phone: Type.Optional(Type.String({ maxLength: 64 })),
  role: Type.Optional(OneOf(['manager', 'staff'], { default: 'staff' })),
  location_ids: Type.Optional(
    Type.Array(LocationId, { maxItems: 200, description: 'Where they work; everywhere when left out.' }),
  ),
  active: Type.Optional(
    Type.Boolean({
      default: true,
      description:
        'false for one who has left: their sessions end at once, no call rings them, and nothing new is assigned to them.',
    }),
  ),
});

export const SenderChannel = OneOf(['sms', 'whatsapp', 'email', 'voice']);
export const SenderAddress = Type.String({
  minLength: 1,
  maxLength: 320,
  description: 'A phone (E.164 or national), short code or mail address.',
});
export const SenderProvider = OneOf([
  'simulator',
  'twilio',
  'smtp',
  'sendgrid',
  'mailgun',
  'postmark',
  'ses',
  'resend',
]);

export const Sender = Exactly({
  channel: SenderChannel,
  address: SenderAddress,
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: "A mail's display name." })),
  provider: SenderProvider,
  location_id: Type.Optional(LocationId),
  reply_domain: Type.Optional(
    Type.String({
      minLength: 3,
      maxLength: 189,
      description:
        "A mail sender's: answers go to a signed address at this domain, which must reach this Omega, and find their conversation.",
    }),
  ),
});

const OnboardingStatus = OneOf(['running', 'complete', 'failed']);
const OnboardingSteps = Type.Array(
  Type.Object({
    name: OneOf(['profile', 'locations', 'staff', 'senders', 'provider_webhooks', 'keys', 'test_message']),
    status: OneOf(['pending', 'running', 'done', 'failed', 'skipped']),
    error: Type.Optional(Type.String()),
    remedy: Type.Optional(Type.String({ description: 'What to do about the error.' })),
  }),
);

const steps = (last: 'pending' | 'done') => [
  ...(['profile', 'locations', 'staff', 'senders', 'keys'] as const).map((name) => ({
    name,
    status: 'done',
  })),
  { name: 'provider_webhooks', status: last },
  { name: 'test_message', status: last },
];

export const onboardBusiness = operation({
  id: 'onboardBusiness',
  method: 'POST',
  path: '/business/onboard',
  tag: 'business',
  summary: 'Onboard a business',
  description:
    "Makes the business with its locations, staff, senders and carrier accounts, or brings them up to date: what is named is written, nothing is removed. What needs the carriers runs on in steps that survive a crash; follow them at `GET /business/{business_id}/onboarding`. The business's first key is in the first answer only.",
  auth: 'platform',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: BusinessId,
      name: Type.String({ minLength: 1, maxLength: 200 }),
      country: Type.String({
        pattern: '^[A-Z]{2}$',
        description: 'ISO 3166-1 alpha-2: national phone numbers are read in it.',
      }),
      time_zone: Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'An IANA name: `America/New_York`.',
      }),
      locations: Type.Optional(Type.Array(Location, { maxItems: 1000 })),
      staffs: Type.Optional(Type.Array(Staff, { maxItems: 5000 })),
      senders: Type.Optional(Type.Array(Sender, { maxItems: 1000 })),
      providers: Type.Optional(Providers),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    202: Type.Object({
      business_id: BusinessId,
      status: OnboardingStatus,
      api_key: Type.Optional(Type.String({ description: "The business's first key: read, send, manage." })),
      steps: OnboardingSteps,
    }),
  },
  errors: [],
  secretAnswer: true,
  example: {
    body: {
      business_id: 1001,
      name: 'Lotus Yoga',
      country: 'US',
      time_zone: 'America/New_York',
      locations: [{ location_id: 1, name: 'Downtown' }],
      staffs: [
        { staff_id: 12345, name: 'Mia Chen', email: 'mia@lotus.example', role: 'manager', location_ids: [1] },
      ],
      senders: [{ channel: 'sms', address: '+15005550006', provider: 'simulator', location_id: 1 }],
    },
    status: 202,
    answer: {
      business_id: 1001,
      status: 'running',
      api_key: 'omk_bm90IGEga2V5LCBqdXN0IHdoYXQgb25lIGxvb2tzIGxpa2U',
      steps: steps('pending'),
    },
  },
});

export const getOnboarding = operation({
  id: 'getOnboarding',
  method: 'GET',
  path: '/business/{business_id}/onboarding',
  tag: 'business',
  summary: 'Get business onboarding status',
  description: "Each step's state, its error and what to do about it.",
  auth: 'read',
  bucket: 'read',
  input: { params: Type.Object({ business_id: BusinessId }) },
  output: { 200: Type.Object({ business_id: BusinessId, status: OnboardingStatus, steps: OnboardingSteps }) },
  errors: [],
  example: {
    params: { business_id: 1001 },
    status: 200,
    answer: { business_id: 1001, status: 'complete', steps: steps('done') },
  },
});
