{{/* What the programs read: which Secrets there are, how they are mounted, and under which variables. */}}

{{- define "rightcall.hasKey" -}}
{{- if or .Values.secretKey.existingSecret .Values.secretKey.value }}true{{ end -}}
{{- end -}}

{{/* The Secret of the servers' certificate; empty: no TLS. */}}
{{- define "rightcall.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "rightcall.name" . }}-tls
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{/* The Secret of the authorities whose certificates clients must have; empty: they need none. */}}
{{- define "rightcall.clientCASecret" -}}
{{- if .Values.tls.clientCASecret -}}
{{ .Values.tls.clientCASecret }}
{{- else if and (eq .Values.pdp.auth "mtls") .Values.tls.certManager.enabled -}}
{{ include "rightcall.tlsSecret" . }}
{{- end -}}
{{- end -}}

{{/* The Secret of the certificate that `helm test` and the load test show; empty: they have none. */}}
{{- define "rightcall.testCertificate" -}}
{{- if .Values.test.certificateSecret -}}
{{ .Values.test.certificateSecret }}
{{- else if and .Values.tls.certManager.enabled .Values.tls.certManager.clientCertificate -}}
{{ include "rightcall.name" . }}-client
{{- end -}}
{{- end -}}

{{/* The variable that says where Redis is; it can hold a password, so it is no argument. */}}
{{- define "rightcall.redisEnv" -}}
- name: RIGHTCALL_REDIS
  {{- if .Values.redis.existingSecret }}
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: {{ .Values.redis.existingSecretKey }}}
  {{- else if .Values.redis.bundled.enabled }}
  value: redis://{{ include "rightcall.name" . }}-redis:6379/0
  {{- else }}
  value: {{ .Values.redis.url | quote }}
  {{- end }}
{{- end -}}

{{/* Volumes of servers and loaders alike: (dict "root" $ "definitions" true "redis" true). */}}
{{- define "rightcall.volumes" -}}
{{- $name := include "rightcall.name" .root -}}
{{- with .root.Values }}
{{- if $.definitions }}
- name: definitions
  {{- if .definitions.existingConfigMap }}
  configMap: {name: {{ .definitions.existingConfigMap }}}
  {{- else }}
  secret: {secretName: {{ .definitions.existingSecret | default (printf "%s-definitions" $name) }}, defaultMode: 0440}
  {{- end }}
{{- end }}
{{- if include "rightcall.hasKey" $.root }}
- name: key
  secret:
    secretName: {{ .secretKey.existingSecret | default (printf "%s-key" $name) }}
    defaultMode: 0440
    items: [{key: {{ if .secretKey.existingSecret }}{{ .secretKey.existingSecretKey }}{{ else }}key{{ end }}, path: key}]
{{- end }}
{{- if and $.redis .redis.caSecret }}
- name: redis-ca
  secret: {secretName: {{ .redis.caSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightcall.serverVolumes" -}}
{{- with .Values.pdp }}
{{- with include "rightcall.tlsSecret" $ }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with include "rightcall.clientCASecret" $ }}
- name: client-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
      {{- if $.Values.tls.revocationList }}
      - {key: ca.crl, path: ca.crl}
      {{- end }}
{{- end }}
{{- with .clients.existingSecret }}
- name: clients
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.pdp.clients.existingSecretKey }}, path: clients.yaml}]
{{- end }}
{{- with .jwt.existingConfigMap }}
- name: jwks
  configMap: {name: {{ . }}}
{{- end }}
{{- if .state.enabled }}
- name: state
  {{- toYaml (.state.volume | default (dict "emptyDir" dict)) | nindent 2 }}
{{- end }}
{{- if ne .transport "grpcio" }}
# These transports meet the rest of the server at a socket in a directory of its own.
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightcall.loaderVolumes" -}}
{{- with .Values.loader.wazo }}
{{- with .existingSecret }}
- name: wazo
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: password, path: password}]
{{- end }}
{{- with .caSecret }}
- name: wazo-ca
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end -}}

{{/* What those who ask need to do so. */}}
{{- define "rightcall.clientVolumes" -}}
{{- if and (include "rightcall.tlsSecret" .) (not .Values.tls.publiclyTrusted) }}
- name: ca
  # The authority alone, not the servers' private key.
  secret: {secretName: {{ include "rightcall.tlsSecret" . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with include "rightcall.testCertificate" . }}
- name: client
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "rightcall.checkVolumes" -}}
{{- include "rightcall.clientVolumes" . }}
{{- with .Values.test.tokenSecret }}
- name: token
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* A mount below /etc/rightcall for each volume of a list of volumes in YAML; state and tmp are elsewhere, and written. */}}
{{- define "rightcall.mounts" -}}
{{- $elsewhere := dict "state" "/var/lib/rightcall" "tmp" "/tmp" -}}
{{- $under := dict "redis-ca" "redis" -}}
{{- range fromYamlArray . }}
{{- if hasKey $elsewhere .name }}
- {name: {{ .name }}, mountPath: {{ index $elsewhere .name }}}
{{- else }}
- {name: {{ .name }}, mountPath: /etc/rightcall/{{ get $under .name | default .name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* What certificates have in common: (dict "values" .Values.tls.certManager "secret" NAME "usage" "server auth"). */}}
{{- define "rightcall.certificate" -}}
secretName: {{ .secret }}
issuerRef: {{- toYaml .values.issuer | nindent 2 }}
duration: {{ .values.duration }}
renewBefore: {{ .values.renewBefore }}
privateKey:
  algorithm: {{ .values.keyAlgorithm }}
  size: {{ ternary 256 2048 (eq .values.keyAlgorithm "ECDSA") }}
  rotationPolicy: Always
usages: [digital signature{{ if eq .values.keyAlgorithm "RSA" }}, key encipherment{{ end }}, {{ .usage }}]
{{- end -}}
