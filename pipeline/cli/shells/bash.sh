# Completion of oneuron in bash. In ~/.bashrc: source <(oneuron completion bash)
@CANDIDATES@
_oneuron() {
  local line=${COMP_LINE:0:COMP_POINT} words word previous command="" each IFS=$' \t\n'
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  word=${words[${#words[@]}-1]} previous=${words[${#words[@]}-2]}
  ((${#words[@]} > 2)) && for each in @COMMANDS@; do
    [[ ${words[1]} == "$each" ]] && command=$each
  done
  [[ ${#words[@]} -gt 2 && -z $command ]] && command=run
  COMPREPLY=($(compgen -W "$(_oneuron_candidates "$command" "$word" "$previous")" -- "$word"))
  [[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace 2>/dev/null
  # Where = parts words, readline puts in only what comes after it.
  [[ $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
}
complete -o default -F _oneuron oneuron
