import { recordEvents } from '../core/events/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import { answer, type Binding, write } from '../core/http/index.ts';
import { createSession, endSessions, sessionCookie } from './sessions.ts';

export function accessRoutes(options: { secureCookies: boolean; basePath: string }): Binding[] {
  const cookie = {
    path: options.basePath,
    httpOnly: true,
    sameSite: 'lax',
    secure: options.secureCookies,
  } as const;
  return [
    write(
      'generateAuthToken',
      async (tx, { body, businessId, caller, now, origin }) => {
        // A session that makes sessions could outlive its own end, as anybody of the business.
        if (caller.kind === 'session') throw new Fault('forbidden', 'This takes a key, not a session.');
        const staff = await tx
          .selectFrom('staffs')
          .select('staff_id')
          .where('business_id', '=', businessId)
          .where('staff_id', '=', body.staff_id)
          .where('active', '=', true)
          .executeTakeFirst();
        if (!staff)
          throw notFound(
            'staff member',
            'Name one of the business with staff_id, or bring them in with POST /business/onboard.',
          );
        const expiresAt = new Date(now.getTime() + (body.ttl_s ?? 43_200) * 1000);
        const session = await createSession(tx, {
          businessId,
          staffId: staff.staff_id,
          keyId: caller.keyId,
          now,
          expiresAt,
        });
        await recordEvents(tx, now, [
          {
            businessId,
            type: 'session.created',
            by: origin,
            data: { session_id: session.sessionId, staff_id: staff.staff_id },
          },
        ]);
        return answer(200, {
          token: session.token,
          session_id: session.sessionId,
          business_id: businessId,
          staff_id: staff.staff_id,
          expires_at: expiresAt.toISOString(),
        });
      },
      (session, _http, reply) => {
        reply.setCookie(sessionCookie, session.token, { ...cookie, expires: new Date(session.expires_at) });
      },
    ),

    write(
      'expireSession',
      async (tx, { body, businessId, caller, now, origin }) => {
        const which = { sessionId: body.session_id, token: body.token, staffId: body.staff_id };
        const named = Object.values(which).some((value) => value !== undefined);
        if (caller.kind === 'session') {
          if (named && which.sessionId !== caller.sessionId) {
            throw new Fault('forbidden', 'A session ends only itself. Leave the body empty, or use a key.');
          }
          which.sessionId = caller.sessionId!;
        } else if (!caller.scopes.includes('manage')) {
          // Anybody signed in may sign out, so the operation itself asks for no more than `read`.
          throw new Fault('forbidden', 'With a key, ending sessions takes the scope manage.');
        } else if (!named) {
          throw new Fault('invalid_parameters', 'Name what to end: session_id, token or staff_id.', {
            errors: [
              {
                path: 'session_id',
                message: 'is required with a key (or token, or staff_id)',
                code: 'required',
              },
            ],
          });
        }
        const ended = await endSessions(tx, businessId, which, now);
        await recordEvents(
          tx,
          now,
          ended.map((session) => ({
            businessId,
            type: 'session.expired' as const,
            by: origin,
            data: { ...session },
          })),
        );
        return answer(200, { expired: ended.length });
      },
      (_answer, http, reply) => {
        if (http.caller?.kind === 'session') reply.clearCookie(sessionCookie, cookie);
      },
    ),
  ];
}
