//! temporary
use chiasm_testbed::{
    clinic::{Clinic, Neighbours, patients},
    cut::Cut,
    lane_page::*,
    net,
    station::{Station, Wire},
    story::story,
    wait,
};
#[test]
fn shot() {
    story("shot", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 6).await?;
        choose_pin(clinic.cloud.http_port(), "technician").await?;
        let mut stations = Vec::new();
        for model in ["ARK-1a", "NT-530", "LM-7P"] {
            stations.push(Station::attach(clinic.folder(), "lane-1", model, Wire::Serial).await?);
        }
        let links = stations.iter().map(|s| s.link.clone()).collect();
        let mut gateway = clinic.enrolled_gateway("gw-1", links)?;
        let line = Cut::in_front_of(clinic.cloud.broker_port()).await?;
        gateway.reach_broker_by(line.port())?;
        let [port] = net::free_ports()?;
        gateway.serve_page(port)?;
        gateway.start().await?;
        gateway
            .process()?
            .says("the cloud told who may use the lane page", wait::USUAL_MAX)
            .await?;
        gateway.process()?.says("the cloud told the worklist", wait::USUAL_MAX).await?;
        clinic.gateways.push(gateway);
        clinic.stations = stations;
        let mut ana = AtGateway::open(&clinic.gateways[0], port).await?;
        std::fs::write("/tmp/shot-sign.html", ana.page("/sign-in").await?)?;
        ana.sign_in("technician", PIN).await?;
        std::fs::write(
            "/tmp/shot-online.html",
            ana.sees("/lanes/lane-1", "cloud", |p| p.contains("The cloud answers")).await?,
        )?;
        line.cut();
        ana.sees("/lanes/lane-1", "work", |p| p.contains("<button>Choose<")).await?;
        clinic.stations[1].press_print().await?;
        ana.sees("/lanes/lane-1", "tray", |p| p.contains("1 waiting")).await?;
        ana.chooses("lane-1", &patients(2)[1].chart_number).await?;
        for s in &mut clinic.stations {
            s.press_print().await?;
        }
        let page = ana.sees("/lanes/lane-1", "three", |p| readings_on(p).len() == 3).await?;
        ana.does("lane-1", "accept", Some(("reading", &readings_on(&page)[1]))).await?;
        std::fs::write("/tmp/shot-lane.html", ana.page("/lanes/lane-1").await?)?;
        std::fs::write("/tmp/shot-lanes.html", ana.page("/").await?)?;
        Ok(())
    });
}
