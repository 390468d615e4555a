{{/* The arguments of the programs, from the values. */}}

{{- define "rightcall.serveOptions" -}}
{{- $embedded := eq .Values.mode "embedded" -}}
{{- with .Values.pdp -}}
- serve
{{- if $embedded }}
- "--definitions=/etc/rightcall/definitions"
- "--password-override={{ $.Values.passwordOverride }}"
{{- if $.Values.isolateFaults }}
- "--isolate-faults"
{{- end }}
{{- else }}
- {{ printf "--redis-prefix=%s" $.Values.redis.prefix | quote }}
{{- with $.Values.redis.deployment }}
- {{ printf "--deployment=%s" . | quote }}
{{- end }}
{{- if $.Values.redis.requireManifest }}
- "--require-manifest"
{{- end }}
- "--max-manifest-age={{ $.Values.redis.maxManifestAge | toJson }}"
{{- if .state.enabled }}
- "--state-dir=/var/lib/rightcall"
{{- end }}
{{- end }}
{{- if include "rightcall.hasKey" $ }}
- "--secret-key-file=/etc/rightcall/key/key"
{{- end }}
- "--listen={{ .listenHost }}:50051"
- "--http={{ .listenHost }}:9464"
{{- with .httpUrl }}
- {{ printf "--http-url=%s" . | quote }}
{{- end }}
{{- if .console }}
- "--console"
{{- end }}
{{- with .emergency }}
- {{ printf "--emergency=%s" (join "," .) | quote }}
{{- end }}
- "--unknown-caller={{ .unknownCaller }}"
- "--unknown-outcall={{ .unknownOutcall }}"
- "--extension-characters={{ .extensionCharacters }}"
- "--transport={{ .transport }}"
{{- if ne (toString .workers) "1" }}
- "--workers={{ .workers }}"
{{- end }}
{{ include "rightcall.authOptions" $ }}
{{- range $setting, $value := .settings }}
- "--{{ $setting | kebabcase }}={{ $value | toJson }}"
{{- end }}
{{- with .decisionLog }}
{{- if or .to .existingSecret }}
{{- with .to }}
- {{ printf "--decision-log=%s" . | quote }}
{{- end }}
{{- range $decision, $share := .sample }}
- "--decision-log-sample={{ $decision }}={{ $share | toJson }}"
{{- end }}
{{- range $setting := list "mask" "queue" "maxBytes" "keep" "length" }}
- "--decision-log-{{ $setting | kebabcase }}={{ index $.Values.pdp.decisionLog $setting | toJson }}"
{{- end }}
{{- end }}
{{- end }}
- "--recheck={{ .recheck | toJson }}"
- "--log-format={{ .logFormat }}"
- "--log-level={{ .logLevel }}"
{{- include "rightcall.traceOptions" $ }}
{{- with .extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightcall.authOptions" -}}
{{- with .Values.pdp -}}
- "--auth={{ .auth }}"
{{- if .clients.existingSecret }}
- "--clients=/etc/rightcall/clients/clients.yaml"
{{- end }}
{{- if eq .auth "jwt" }}
- {{ printf "--jwks=%s" (.jwt.jwksUrl | default "/etc/rightcall/jwks/jwks.json") | quote }}
- {{ printf "--jwt-audience=%s" .jwt.audience | quote }}
- {{ printf "--jwt-issuer=%s" .jwt.issuer | quote }}
- {{ printf "--jwt-tenant-claim=%s" .jwt.tenantClaim | quote }}
{{- end }}
{{- if include "rightcall.tlsSecret" $ }}
- "--tls-certificate=/etc/rightcall/tls/tls.crt"
- "--tls-key=/etc/rightcall/tls/tls.key"
{{- if $.Values.tls.http }}
- "--http-tls"
{{- end }}
{{- if include "rightcall.clientCASecret" $ }}
- "--tls-client-ca=/etc/rightcall/client-ca/ca.crt"
{{- range $.Values.tls.clientNames }}
- {{ printf "--tls-client-name=%s" . | quote }}
{{- end }}
{{- if $.Values.tls.revocationList }}
- "--tls-crl=/etc/rightcall/client-ca/ca.crl"
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightcall.loadOptions" -}}
{{- with .Values.loader -}}
- load
- {{ printf "--source=%s" (.source | default "file:/etc/rightcall/definitions") | quote }}
{{- with .wazo }}
{{- with .username }}
- {{ printf "--wazo-username=%s" . | quote }}
{{- end }}
{{- if .existingSecret }}
- "--wazo-password-file=/etc/rightcall/wazo/password"
{{- end }}
{{- with .authUrl }}
- {{ printf "--wazo-auth-url=%s" . | quote }}
{{- end }}
{{- range .tenants }}
- {{ printf "--wazo-tenant=%s" . | quote }}
{{- end }}
{{- if .caSecret }}
- "--wazo-ca-file=/etc/rightcall/wazo-ca/ca.crt"
{{- end }}
{{- if .insecure }}
- "--wazo-insecure"
{{- end }}
{{- end }}
- {{ printf "--redis-prefix=%s" $.Values.redis.prefix | quote }}
{{- with $.Values.redis.deployment }}
- {{ printf "--deployment=%s" . | quote }}
{{- end }}
- "--secret-key-file=/etc/rightcall/key/key"
- "--password-override={{ $.Values.passwordOverride }}"
{{- if $.Values.isolateFaults }}
- "--isolate-faults"
{{- end }}
{{- range .defaultDialling }}
- {{ printf "--default-dialling=%s" . | quote }}
{{- end }}
{{- range .defaultEmergency }}
- {{ printf "--default-emergency=%s" . | quote }}
{{- end }}
{{- if .withoutNames }}
- "--without-names"
{{- end }}
- "--http={{ .listenHost }}:9465"
{{- if not (kindIs "invalid" .maxStaleness) }}
- "--max-staleness={{ .maxStaleness | toJson }}"
{{- end }}
- "--keep={{ .keep | toJson }}"
- "--max-removal={{ .maxRemoval | toJson }}"
- "--recheck={{ .recheck | toJson }}"
- "--log-format={{ .logFormat }}"
- "--log-level={{ .logLevel }}"
{{- include "rightcall.traceOptions" $ }}
{{- with .extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightcall.traceOptions" -}}
{{- with .Values.tracing }}
{{- if .enabled }}
- "--tracing"
{{- with .endpoint }}
- {{ printf "--trace-endpoint=%s" . | quote }}
{{- end }}
{{- if not (kindIs "invalid" .ratio) }}
- "--trace-ratio={{ .ratio | toJson }}"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The container that asks a real question and ends with 0 if the answer is ALLOW. */}}
{{- define "rightcall.checkContainer" -}}
- name: check
  image: {{ include "rightcall.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- include "rightcall.containerSecurity" . | nindent 2 }}
  args:
    - check
    - "--target={{ include "rightcall.target" . }}"
    - "--timeout=10"
    - "--json"
    {{- if include "rightcall.tlsSecret" . }}
    - "--tls"
    {{- if not .Values.tls.publiclyTrusted }}
    - "--ca-file=/etc/rightcall/ca/ca.crt"
    {{- end }}
    {{- if include "rightcall.testCertificate" . }}
    - "--certificate-file=/etc/rightcall/client/tls.crt"
    - "--key-file=/etc/rightcall/client/tls.key"
    {{- end }}
    {{- if .Values.test.tokenSecret }}
    - "--token-file=/etc/rightcall/token/token"
    {{- end }}
    {{- end }}
    {{- range $option := list "extension" "caller" "outcall" "tenant" }}
    {{- with index $.Values.test $option }}
    - {{ printf "--%s=%s" $option . | quote }}
    {{- end }}
    {{- end }}
  {{- with include "rightcall.checkVolumes" . | trim }}
  volumeMounts: {{- include "rightcall.mounts" . | trim | nindent 4 }}
  {{- end }}
{{- end -}}
