#Requires -RunAsAdministrator
$ErrorActionPreference = 'Stop'
$name    = 'fieldpost-agent'
$account = 'NT SERVICE\fieldpost-agent'
$state   = 'C:\ProgramData\fieldpost-agent'
$command = '"C:\Program Files\fieldpost-agent\fieldpost-agent.exe" run --state C:\ProgramData\fieldpost-agent'

New-Service -Name $name -BinaryPathName $command -DisplayName 'Fieldpost agent' -Description 'Fieldpost agent: measures at this site, sends what was consented to' -StartupType Automatic | Out-Null
sc.exe config $name start= delayed-auto obj= $account | Out-Null
sc.exe sidtype $name unrestricted | Out-Null
sc.exe privs $name SeChangeNotifyPrivilege | Out-Null
sc.exe failure $name reset= 86400 actions= restart/10000/restart/10000/restart/60000 | Out-Null

New-Item -ItemType Directory -Force -Path $state | Out-Null
icacls.exe $state /inheritance:r /grant:r "${account}:(OI)(CI)F" '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' | Out-Null

# Start-Service $name
