{{/* Name of the operator's objects: the name of the release, followed by the name of the chart unless it contains it. */}}
{{- define "trainingrun-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "trainingrun-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trainingrun-operator.labels" -}}
{{ include "trainingrun-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Reference of an image; takes a list of the image's values and the chart. */}}
{{- define "trainingrun-operator.image" -}}
{{- $image := index . 0 -}}
{{- $chart := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* PriorityClass of TensorBoard's pods: the one in the values, or the chart's own where it installs one. */}}
{{- define "trainingrun-operator.tensorboardPriorityClass" -}}
{{- .Values.tensorboard.priorityClassName | default (ternary "trainingrun-tensorboard" "" .Values.crds.enabled) -}}
{{- end -}}
