{{- define "rightcall.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $own := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $own .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $own | trunc 52 | trimSuffix "-" -}}
{{- end -}}
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
{{- $which := ternary (printf "@%s" .digest) (printf ":%s" (.tag | default $.Chart.AppVersion)) (ne .digest "") -}}
{{- include "rightcall.mirrored" (dict "root" $ "image" (printf "%s%s" .repository $which)) -}}
{{- end -}}
{{- end -}}

{{/* An image, from global.imageRegistry where that is set: (dict "root" $ "image" "docker.io/library/redis:8"). */}}
{{- define "rightcall.mirrored" -}}
{{- $registry := (.root.Values.global | default dict).imageRegistry -}}
{{- if $registry -}}
{{- /* As Docker reads names: what is before the first slash is a registry if it has a dot or a port, or is localhost. */ -}}
{{ $registry }}/{{ regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" .image "" }}
{{- else -}}
{{ .image }}
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
  {{- if .Values.podSecurity.fixedIds }}
  {{- range $id := list "runAsUser" "runAsGroup" "fsGroup" }}
  {{- if not (kindIs "invalid" (index $.Values.podSecurity $id)) }}
  {{ $id }}: {{ index $.Values.podSecurity $id | int64 }}
  {{- end }}
  {{- end }}
  {{- end }}
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
{{- $secrets := .Values.image.pullSecrets -}}
{{- range (.Values.global | default dict).imagePullSecrets -}}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with $secrets | uniq }}
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
{{- with .hostAliases }}
hostAliases: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .dnsConfig }}
dnsConfig: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .initContainers }}
initContainers: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How pods are replaced: (dict "values" .Values.pdp "field" "strategy"). */}}
{{- define "rightcall.rollout" -}}
{{- if not (kindIs "invalid" .values.revisionHistoryLimit) }}
revisionHistoryLimit: {{ .values.revisionHistoryLimit | int }}
{{- end }}
{{ .field }}:
  {{- with .values.deploymentStrategy }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  # A new one is ready before an old one goes.
  rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
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
        # Where OpenShift's pods of DNS listen, which is what counts there, not the Service's port.
        - {port: 5353, protocol: UDP}
        - {port: 5353, protocol: TCP}
    {{- if .redis }}
    - ports:
        {{- $ports := prepend .policy.redisPorts .policy.redisPort }}
        {{- $url := .root.Values.redis.url }}
        {{- if regexMatch "^rediss?[+]" $url }}
        {{- range regexFindAll ":[0-9]+" (regexReplaceAll "[[][^]]*[]]" ($url | splitList "?" | first | replace "://" "/") "") -1 }}
        {{- $ports = append $ports (trimPrefix ":" .) }}
        {{- end }}
        {{- if contains "+sentinel:" $url }}{{ $ports = append $ports 26379 }}{{ end }}
        {{- end }}
        {{- $seen := dict }}
        {{- range $ports }}
        {{- if not (hasKey $seen (toString .)) }}
        - {port: {{ . }}, protocol: TCP}
        {{- $_ := set $seen (toString .) true }}
        {{- end }}
        {{- end }}
      {{- if .bundled }}
      to:
        - podSelector:
            matchLabels: {{- include "rightcall.selector" (dict "root" .root "part" "redis") | nindent 14 }}
      {{- else if .policy.redis }}
      to: {{- toYaml .policy.redis | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}

{{/* Gateways and host names of a route. */}}
{{- define "rightcall.routeParents" -}}
parentRefs: {{- toYaml .parentRefs | nindent 2 }}
{{- with .hostnames }}
hostnames: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
