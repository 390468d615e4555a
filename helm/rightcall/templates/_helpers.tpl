{{- define "rightcall.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of one part: (dict "root" $ "part" "pdp"). */}}
{{- define "rightcall.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "rightcall.labels" -}}
{{ include "rightcall.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rightcall.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rightcall.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "rightcall.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* Values that contradict each other, or are not enough, end the installation with what to do. */}}
{{- define "rightcall.check" -}}
{{- with .Values -}}
{{- $redis := list -}}
{{- if .redis.url }}{{ $redis = append $redis "redis.url" }}{{ end -}}
{{- if .redis.existingSecret }}{{ $redis = append $redis "redis.existingSecret" }}{{ end -}}
{{- if .redis.bundled.enabled }}{{ $redis = append $redis "redis.bundled.enabled" }}{{ end -}}
{{- $definitions := list -}}
{{- if .definitions.files }}{{ $definitions = append $definitions "definitions.files" }}{{ end -}}
{{- if .definitions.existingSecret }}{{ $definitions = append $definitions "definitions.existingSecret" }}{{ end -}}
{{- if .definitions.existingConfigMap }}{{ $definitions = append $definitions "definitions.existingConfigMap" }}{{ end -}}
{{- if and (eq .mode "redis") (ne (len $redis) 1) -}}
{{- fail (printf "mode redis needs to know one Redis, but %s; set one of redis.url, redis.existingSecret, redis.bundled.enabled (or try: -f examples/trial.yaml)" (ternary "none is given" (printf "%s are given" (join " and " $redis)) (empty $redis))) -}}
{{- end -}}
{{- if and (eq .mode "embedded") $redis -}}
{{- fail (printf "mode embedded uses no Redis, but %s is given; remove it, or set mode: redis" (first $redis)) -}}
{{- end -}}
{{- if gt (len $definitions) 1 -}}
{{- fail (printf "%s exclude each other; give one of them" (join " and " $definitions)) -}}
{{- end -}}
{{- $reads := or (eq .mode "embedded") (and .loader.enabled (not .loader.source)) -}}
{{- if and $reads (empty $definitions) -}}
{{- fail "where are the call permissions? set definitions.files, definitions.existingSecret or definitions.existingConfigMap, or (mode redis) loader.source" -}}
{{- end -}}
{{- if and .secretKey.existingSecret .secretKey.value -}}
{{- fail "secretKey.existingSecret and secretKey.value exclude each other; give one of them" -}}
{{- end -}}
{{- if and (eq .mode "redis") (not .secretKey.existingSecret) (not .secretKey.value) -}}
{{- fail "mode redis needs a secret key, which signs the rules: kubectl create secret generic rightcall-key --from-literal=key=$(openssl rand -hex 32), then set secretKey.existingSecret=rightcall-key" -}}
{{- end -}}
{{- if and (eq .pdp.kind "DaemonSet") .pdp.autoscaling.enabled -}}
{{- fail "a DaemonSet has one server a node; set pdp.autoscaling.enabled: false, or pdp.kind: Deployment" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rightcall.hasKey" -}}
{{- if or .Values.secretKey.existingSecret .Values.secretKey.value }}true{{ end -}}
{{- end -}}

{{/* What every pod of ours has in common. */}}
{{- define "rightcall.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rightcall.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "rightcall.podImage" -}}
serviceAccountName: {{ include "rightcall.serviceAccount" . }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
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

{{/* Mounts of one pod: (dict "root" $ "definitions" true "redis" true). */}}
{{- define "rightcall.mounts" -}}
{{- if .definitions }}
- {name: definitions, mountPath: /etc/rightcall/definitions, readOnly: true}
{{- end }}
{{- if include "rightcall.hasKey" .root }}
- {name: key, mountPath: /etc/rightcall/key, readOnly: true}
{{- end }}
{{- if and .redis .root.Values.redis.caSecret }}
- {name: redis-ca, mountPath: /etc/rightcall/redis, readOnly: true}
{{- end }}
{{- end -}}

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

{{/* Placement of one part's pods, from its values. */}}
{{- define "rightcall.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Egress rules for names and Redis: (dict "root" $ "policy" .Values.networkPolicy "redis" true "bundled" false). */}}
{{- define "rightcall.egress" }}
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    {{- if .redis }}
    - ports:
        - {port: {{ .policy.redisPort }}, protocol: TCP}
      {{- if .bundled }}
      to:
        - podSelector:
            matchLabels: {{- include "rightcall.selector" (dict "root" .root "part" "redis") | nindent 14 }}
      {{- else if .policy.redis }}
      to: {{- toYaml .policy.redis | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}
