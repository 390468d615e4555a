// A client of Rightcall: one connection for the whole program.
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { AnswerChallengeResponse__Output as Opened } from './gen/rightcall/v1/AnswerChallengeResponse.js';
import type { CheckCallRequest } from './gen/rightcall/v1/CheckCallRequest.js';
import type { CheckCallResponse__Output as Answer } from './gen/rightcall/v1/CheckCallResponse.js';
import type { DecisionServiceClient } from './gen/rightcall/v1/DecisionService.js';
import type { ProtoGrpcType } from './gen/decision.js';

export type { Answer, Opened };

export interface Settings {
  /** HOST:PORT; all addresses of HOST are used in turn. */
  server: string;
  /** PEM file of the authority to trust; without it there is no TLS. */
  ca?: string;
  /** Sent with each request, over TLS alone. */
  token?: string;
  /** Milliseconds that a request may take, retries included. */
  patience?: number;
  /** The folder with rightcall/v1/decision.proto. */
  protos?: string;
}

export class Rightcall {
  private readonly client: DecisionServiceClient;
  private readonly patience: number;

  constructor({ server, ca, token, patience = 300, protos = '../../protos' }: Settings) {
    const options = { keepCase: false, longs: Number, enums: String, defaults: true, includeDirs: [protos] };
    const loaded = grpc.loadPackageDefinition(loadSync('rightcall/v1/decision.proto', options));
    const { rightcall } = loaded as unknown as ProtoGrpcType;
    let credentials = grpc.credentials.createInsecure();
    if (ca) {
      credentials = grpc.credentials.createSsl(readFileSync(ca));
      if (token) credentials = grpc.credentials.combineChannelCredentials(credentials, bearer(token));
    }
    this.patience = patience;
    this.client = new rightcall.v1.DecisionService(server, credentials, {
      'grpc.service_config': readFileSync(new URL('../service-config.json', import.meta.url), 'utf8'),
      'grpc.service_config_disable_resolution': 1, // else the DNS is asked for one
      'grpc.keepalive_time_ms': 30_000,
      'grpc.enable_http_proxy': 0,
    });
  }

  /** Connects, so that the first call does not wait for it; false: the server is not there yet, and looked for later. */
  ready(milliseconds = 5_000): Promise<boolean> {
    return new Promise((resolve) => this.client.waitForReady(Date.now() + milliseconds, (error) => resolve(!error)));
  }

  /** May this call be made? Rejects with a grpc.ServiceError where there is no decision. */
  check(call: CheckCallRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.client.checkCall(call, this.deadline(), (error, answer) => (error ? reject(error) : resolve(answer!)));
    });
  }

  /** Does this PIN open the call? Each request is an attempt: never send one again by yourself. */
  answer(challenge: string, password: string): Promise<Opened> {
    return new Promise((resolve, reject) => {
      this.client.answerChallenge({ challenge, password }, this.deadline(), (error, opened) =>
        error ? reject(error) : resolve(opened!),
      );
    });
  }

  close(): void {
    this.client.close();
  }

  private deadline(): grpc.CallOptions {
    return { deadline: Date.now() + this.patience };
  }
}

function bearer(token: string): grpc.CallCredentials {
  return grpc.credentials.createFromMetadataGenerator((_options, callback) => {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    callback(null, metadata);
  });
}
