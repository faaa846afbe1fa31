#compdef oneuron
# Completion of oneuron in zsh. In ~/.zshrc: source <(oneuron completion zsh)
@CANDIDATES@
_oneuron() {
  local command="" word=$words[CURRENT] previous=$words[CURRENT-1]
  local -a found open
  ((CURRENT > 2)) && command=run
  ((CURRENT > 2)) && [[ " @COMMANDS@ " == *" $words[2] "* ]] && command=$words[2]
  found=(${(f)"$(_oneuron_candidates "$command" "$word" "$previous")"})
  open=(${(M)found:#*=})
  compadd -S '' -a open
  found=(${found:#*=})
  compadd -a found
  ((${#open} + ${#found})) || { compset -P '*='; _files }
}
((${+functions[compdef]})) || { autoload -Uz compinit && compinit -u }
compdef _oneuron oneuron
