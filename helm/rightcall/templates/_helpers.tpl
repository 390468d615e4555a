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

{{- define "rightcall.ownLabels" -}}
{{ include "rightcall.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "rightcall.labels" -}}
{{ include "rightcall.ownLabels" . }}
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

{{/* Where `helm test` and the load test ask. */}}
{{- define "rightcall.target" -}}
{{ .Values.test.target | default (printf "%s:%v" (include "rightcall.name" .) .Values.pdp.service.port) }}
{{- end -}}

{{- define "rightcall.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "rightcall.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
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

{{/* What a part's pods carry beside their selector: labels of everything and of the part. */}}
{{- define "rightcall.podLabels" -}}
{{ include "rightcall.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of a part's pods: (dict "root" $ "annotations" .podAnnotations). */}}
{{- define "rightcall.podAnnotations" -}}
{{- with .root.Values.secretKey.value }}
# The key is read at start: another key needs other pods. Definitions are followed without that.
rightcall/key: {{ . | sha256sum }}
{{- end }}
{{- with .annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Spreads a part's pods: (dict "root" $ "part" "pdp" "given" .topologySpreadConstraints "keys" (list …)). */}}
{{- define "rightcall.spread" -}}
{{- if kindIs "invalid" .given }}
{{- range .keys }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "rightcall.selector" $ | nindent 6 }}
{{- end }}
{{- else if .given }}
{{- toYaml .given }}
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
